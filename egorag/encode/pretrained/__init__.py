"""What all pretrained encoders share; each model family is one file in ``egorag/encode``.

``checkpoint.py`` finds, fetches and hashes weights, ``loading.py`` loads them and refuses what does
not fit, ``placement.py`` chooses device and number format, ``batches.py`` how much runs at once,
``plaintext.py`` makes text from outside harmless, ``shared.py`` lets two encoders use one model,
``base.py`` holds the settings all of them have.
"""
