"""python -m egorag.train probe|projection|fusion|evidence ...: learn from what an index stores."""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

from egorag import cli
from egorag.errors import did_you_mean
from egorag.terminal import tell

KINDS = ("probe", "projection", "fusion", "evidence")

USAGE = """python -m egorag.train KIND [KEY=VALUE ...]

  probe        name actions: an attentive probe on stored vectors, from a table of labels
  projection   let text find scenes of V-JEPA 2: from a text encoder's space into its space
  fusion       how much each ranking counts in a search, from queries with known answers
  evidence     which ranking, at which level, represents a scene; from the same queries

python -m egorag.train KIND --help tells the settings of each."""


def main(arguments: list[str]) -> NoReturn:
    """Run the command of the kind named first, and exit."""
    kind, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if kind in KINDS:
        command = importlib.import_module(f"egorag.train.{kind}_command")
        cli.main(f"train {kind}", command.ABOUT, command.run, rest)
    if kind in ("-h", "--help"):
        sys.stdout.write(USAGE + "\n")
        sys.exit(0)
    if kind and "=" not in kind:
        tell(f"egorag train: no kind {kind!r}{did_you_mean(kind, KINDS)}")
    else:
        tell(f"egorag train: say first what to train: {' or '.join(KINDS)}; see --help")
    sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
