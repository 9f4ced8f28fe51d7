"""egorag: question answering over long video with timestamps that were checked."""

__version__ = "0.1.0"
