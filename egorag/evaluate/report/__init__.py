"""Runs of ``bench`` as one page: side by side where they did the same, and what that shows."""
