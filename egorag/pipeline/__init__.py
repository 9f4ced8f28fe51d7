"""The stages in order: decode once, cut, encode, keep.

``recipe.py`` says what to run, ``onepass.py`` runs everything that needs the decoded file,
``video.py`` takes one video from file to catalog, ``batch.py`` many.
"""
