"""python -m egorag.doctor: what can run here, what is missing, what mends it."""

from __future__ import annotations

from typing import Any

from egorag.cli import Result, main

ABOUT = """Say which encoders can run here, what each lacks, and the command that mends it.

  python -m egorag.doctor
  python -m egorag.doctor output=json

Nothing is downloaded and no weights are loaded. Exit code 1 if an encoder of the default set
cannot run; the others may lack weights or packages until you choose them."""


def run(settings: dict[str, Any]) -> Result:
    """Check the machine and every encoder that a config can name."""
    from egorag.checkup.encoders import check_encoders
    from egorag.checkup.machine import check_machine
    from egorag.checkup.told import told

    device = str(settings["device"])
    machine, rows = check_machine(device), check_encoders(device)
    fine = all(row.fine for row in rows.values() if row.default)
    data = {"machine": machine, "encoders": {name: row.to_json() for name, row in rows.items()}}
    return Result(data, told(machine, rows), 0 if fine else 1)


if __name__ == "__main__":
    main("doctor", ABOUT, run)
