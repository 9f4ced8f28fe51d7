"""Benchmarks: readers of published annotations, the run over an index, the scores."""
