"""The checks behind ``doctor``.

``machine.py`` looks at what results may depend on, ``encoders.py`` at every encoder one by one,
``told.py`` puts it for a person.
"""
