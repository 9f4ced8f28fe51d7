"""Measures and how sure they are: pure functions of arrays and plain data, no files, no index."""
