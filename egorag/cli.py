"""What every command shares: help, config, one result on stdout, exit codes.

Exit codes: 0 done; 1 some inputs failed, the rest is kept; 2 wrong usage or config; 130
interrupted, what was finished is kept.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from egorag import config
from egorag.errors import ConfigError, EgoragError
from egorag.terminal import printable, tell


@dataclass(frozen=True)
class Result:
    """What a command found: data for ``output=json``, the same for a person, how it ended."""

    data: dict[str, Any]
    text: str
    exit_code: int = 0


Command = Callable[[dict[str, Any]], Result]

Job = tuple[tuple[str, ...], dict[str, Any]]
"""One job of a sweep: its overrides and its settings."""

Sweep = Callable[[Sequence[Job]], Iterator[Result]]
"""Runs the jobs of a sweep in the order that suits it; a result is written when it is there."""


def main(
    name: str,
    about: str,
    run: Command,
    arguments: Sequence[str] | None = None,
    sweep: Sweep | None = None,
) -> NoReturn:
    """Run command ``name`` (its config is ``configs/NAME.yaml``) and exit.

    Args:
        sweep: runs what ``-m`` makes of the arguments; one job after the other unless given.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    warnings.showwarning = lambda message, *_: tell(f"egorag {name}: {message}")
    try:
        if {"-h", "--help"} & set(given):
            _write(_help(name, about))
            code = 0
        elif any(argument.startswith("-") for argument in given):
            code = _through_hydra(name, given, run, sweep)
        else:
            code = _once(config.compose(name, given), run)
    except EgoragError as error:
        tell(f"egorag {name}: {error}")
        code = error.exit_code
    except KeyboardInterrupt:
        tell(f"egorag {name}: interrupted; what was finished is kept")
        code = 130
    except BrokenPipeError:
        # The reader went away (| head): not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


def _once(settings: dict[str, Any], run: Command) -> int:
    return _tell(run(settings), settings)


def _tell(result: Result, settings: dict[str, Any]) -> int:
    if settings["output"] == "json":
        _write(json.dumps(result.data, ensure_ascii=False, allow_nan=False))
    else:
        _write(printable(result.text))
    return result.exit_code


def _through_hydra(name: str, given: Sequence[str], run: Command, sweep: Sweep | None) -> int:
    """Hydra's own flags (-m, --cfg, --info, ...): its application, our run."""
    flags = [a for a in given if a.startswith("-")]
    config.check_keys(name, given)
    overrides, free = config.split_free_text(given, config.own_keys(name))
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")

    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    codes = [0]
    jobs: list[Job] = []
    sweeps = sweep is not None and bool({"-m", "--multirun"} & set(flags))
    if sweeps and any(a.lstrip("+").startswith("hydra/launcher=") for a in given):
        raise ConfigError(
            f"{name} starts the jobs of a sweep itself, so hydra/launcher has no use; for several "
            "at a time run the same command in several terminals: each takes what no other is at"
        )

    swept = config.swept_encoders(overrides)

    def job(composed: Any) -> None:
        settings = config.of_this_job(config.finish(name, composed, free), swept)
        if sweeps:
            jobs.append((tuple(HydraConfig.get().overrides.task), settings))
        else:
            codes.append(_once(settings, run))

    plain = [o for o in overrides if o not in flags]
    sys.argv = [f"egorag.{name}", *flags, *plain, *config.search_path_override()]
    folder = str(config.config_dir().resolve())
    try:
        file = config.config_name(name)
        hydra.main(version_base="1.3", config_path=folder, config_name=file)(job)()
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(config.one_line(error)) from error
    if sweep is not None and jobs:
        codes += [_tell(result, jobs[0][1]) for result in sweep(jobs)]
    return max(codes)


def _help(name: str, about: str) -> str:
    """The command's purpose and its config file, which is commented for this."""
    text = (config.config_dir() / f"{config.config_name(name)}.yaml").read_text(encoding="utf-8")
    body = text.split("- _self_", 1)[-1].strip()
    lines = [about.strip(), "", "Settings (key=value; ??? must be given):", ""]
    lines += [f"  {line}" for line in body.splitlines()]
    lines += ["  output: text        # text, or json: exactly one object on stdout", ""]
    chosen = [line.strip(" -") for line in text.splitlines() if line.startswith("  - ")]
    groups = {c.split(":")[0].removeprefix("override ").strip("/"): c for c in chosen if ":" in c}
    for group, names in config.options().items():
        if group in groups:
            lines.append(f"  {group}: {', '.join(names)}   (default: {groups[group]})")
    lines += [
        "",
        "Hydra overrides: +encoder=NAME adds one, encoder=[a,b] replaces the set,",
        "encoders.NAME.key=value tunes one, ~encoders.NAME drops one, -m sweeps.",
    ]
    return "\n".join(lines)


def _write(text: str) -> None:
    """To stdout in UTF-8 whatever the locale; lone surrogates become question marks."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()
