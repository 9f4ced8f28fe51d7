"""Pictures of what an index knows, drawn with matplotlib (the extra ``plot``)."""
