"""The small indexes of the retrieval tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_spec = importlib.util.spec_from_file_location(
    "retrieve_conftest", Path(__file__).parents[1] / "retrieve" / "conftest.py"
)
assert _spec and _spec.loader
_shared = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _shared
_spec.loader.exec_module(_shared)

make_index = _shared.make_index
bag_of_words = _shared.bag_of_words
