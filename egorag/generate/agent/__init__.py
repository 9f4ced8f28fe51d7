"""A language model that looks for its evidence itself, by tools over the index."""
