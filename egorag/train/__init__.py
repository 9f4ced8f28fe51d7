"""Learning from an index's own features: probes that name actions, projections of text."""
