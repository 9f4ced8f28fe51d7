"""What happens next, by V-JEPA 2's predictor: futures, anticipation, coherence, surprise."""
