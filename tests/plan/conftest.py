"""The small indexes of the retrieval tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_spec = importlib.util.spec_from_file_location(
    "plan_shared", Path(__file__).parents[1] / "retrieve" / "conftest.py"
)
assert _spec and _spec.loader
_made = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _made  # dataclasses look their module up
_spec.loader.exec_module(_made)
make_index = _made.make_index
