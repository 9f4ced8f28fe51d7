"""python -m egorag.doctor: what can run here, what is missing, what mends it."""

from __future__ import annotations

from typing import Any

from egorag.cli import Result, main

ABOUT = """Say which encoders can run here, what each lacks, and the command that mends it.

  python -m egorag.doctor
  python -m egorag.doctor output=json"""


def run(settings: dict[str, Any]) -> Result:
    """Check the machine and every registered encoder."""
    from egorag.checkup import check_encoders, check_machine

    machine = check_machine()
    encoders = check_encoders(settings["device"])
    lines = [f"{name}: {value}" for name, value in machine.items()]
    lines.append("")
    for name, found in encoders.items():
        reads = f"reads {found['medium']}, yields {found['yields']}" if found["medium"] else ""
        if found["ok"]:
            lines.append(f"  ok       {name:12} {reads} (loads in {found['seconds']:.1f} s)")
        else:
            lines.append(f"  missing  {name:12} {found['lacks']}")
            lines.append(f"           mend it: {found['mend']}")
    broken = [name for name, found in encoders.items() if not found["ok"]]
    return Result({"machine": machine, "encoders": encoders}, "\n".join(lines), 1 if broken else 0)


if __name__ == "__main__":
    main("doctor", ABOUT, run)
