"""Hydra configs: where they lie, how a command line becomes plain settings.

Two things are added to Hydra, both for the user's sake:

- Free text (a question, a file name) never passes through Hydra's grammar, so quotes, commas,
  ``${...}`` and newlines in it are just characters.
- ``encoders.NAME.key=value`` may set any setting of the class, not only those its preset
  mentions; the class's signature is the check (see ``registry.build``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from egorag.errors import ConfigError, did_you_mean
from egorag.registry import GROUPS, registered, target_of

FREE_TEXT = frozenset(
    {
        "after", "artifacts", "before", "calibration", "choices", "cuts", "image", "index", "input",
        "judged", "labels", "pairs", "projections", "query", "question", "questions", "rerun",
        "runs", "sound", "test_labels", "to", "trace", "until", "video", "videos", "without",
    }
)  # fmt: skip
"""Keys whose values are taken as they stand."""

_TUNING = re.compile(
    r"(encoders\.[^.=]+|segmenter|fuser|strategy|reranker|selector|planner|answerer|training"
    r"|benchmark|tracker)\.[\w.]+="
)
_KEY = re.compile(r"(?P<mark>\+\+|\+|~)?(?P<head>[^=.@/:]+)(?P<rest>[^=]*)(=(?P<value>.*))?", re.S)


def config_dir() -> Path:
    """The folder of the configs: the packaged copy, or the repository's beside the package."""
    package = Path(__file__).parent
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / "index.yaml").is_file():
            return folder
    raise ConfigError(f"no configs beside {package}; reinstall egorag")


def config_name(command: str) -> str:
    """The config of a command as a user types it.

    >>> config_name("train probe")
    'train_probe'
    """
    return command.replace(" ", "_")


def options() -> dict[str, list[str]]:
    """The option names of every config group, e.g. ``{"encoder": ["minilm", ...]}``."""
    found = {
        group.name: sorted(p.stem for p in group.glob("*.yaml"))
        for group in sorted(config_dir().iterdir())
        if group.is_dir()
    }
    for group, called in GROUPS.items():
        found[called] = sorted({*found.get(called, ()), *registered(group)})
    return found


def split_free_text(
    arguments: Sequence[str], also: Collection[str] = ()
) -> tuple[list[str], dict[str, str]]:
    """Part overrides for Hydra from free text; ``also`` are keys of it besides ``FREE_TEXT``.

    >>> split_free_text(["k=3", "query=it's ${x}, [y]"])
    (['k=3'], {'query': "it's ${x}, [y]"})
    """
    overrides: list[str] = []
    free: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and (key in FREE_TEXT or key in also):
            free[key] = value
        elif _TUNING.match(argument):
            overrides.append(f"++{key}={_quoted_path(value)}")
        else:
            overrides.append(argument)
    return _join_encoders(overrides), free


def _quoted_path(value: str) -> str:
    """A file or folder that is there (a checkpoint's) in Hydra's quotes: its grammar knows no ``=``
    and no letters but English ones in a value. Anything else as it is: it may be a sweep.

    >>> _quoted_path("facebook/vjepa2-vitl-fpc64-256"), _quoted_path("/")
    ('facebook/vjepa2-vitl-fpc64-256', "'/'")
    """
    try:
        there = "/" in value and Path(value).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # no name of a file, or of a user without a home
        there = False
    if not there:
        return value
    inner = re.sub(r"(\\*)('|\Z)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), value)
    return f"'{inner}'"


def _join_encoders(overrides: list[str]) -> list[str]:
    """``encoder=[a] +encoder=b +encoder=c`` as one override; Hydra takes only one of them.

    >>> _join_encoders(["encoder=[a]", "+encoder=b", "k=1", "+encoder=[c, d]"])
    ['k=1', 'encoder=[a,b,c,d]']

    Names without brackets are a sweep, each of which gets the others:

    >>> _join_encoders(["encoder=[a]", "+encoder=b,c"])
    ['encoder=[a,b],[a,c]']
    """
    plain = re.compile(r"(\+?encoder)=(?:\[([^][]*)\]|([^][]*))")
    found = [m for m in map(plain.fullmatch, overrides) if m]
    if len(found) < 2:
        return overrides
    jobs: list[tuple[str, ...]] = [()]
    for match in found:
        names = tuple(n.strip() for n in (match[2] or match[3] or "").split(",") if n.strip())
        choices = [(name,) for name in names] if match[3] and len(names) > 1 else [names]
        jobs = [(*job, *choice) for job in jobs for choice in choices]
    mark = "encoder" if any(m[1] == "encoder" for m in found) else "+encoder"
    rest = [o for o in overrides if not plain.fullmatch(o)]
    lists = (f"[{','.join(dict.fromkeys(job))}]" for job in jobs)
    return [*rest, f"{mark}={','.join(lists)}"]


def swept_encoders(overrides: Sequence[str]) -> set[str]:
    """Every encoder that some job of a sweep has.

    >>> sorted(swept_encoders(["+encoder=clap,xclip", "k=1"]))
    ['clap', 'xclip']
    """
    found = [o.partition("=")[2] for o in overrides if re.match(r"\+?encoder=", o)]
    return set(re.findall(r"[\w-]+", " ".join(found)))


def of_this_job(settings: dict[str, Any], swept: Collection[str]) -> dict[str, Any]:
    """Settings of one job, without those that tune an encoder only other jobs of the sweep have."""
    if not settings.get("encoders"):
        return settings
    mine = {
        name: node
        for name, node in settings["encoders"].items()
        if name not in swept or "_target_" in node
    }
    return {**settings, "encoders": mine}


def check_keys(name: str, arguments: Sequence[str]) -> None:
    """Refuse a mistyped top-level key or option before Hydra is even imported.

    Raises:
        ConfigError: naming the key or option and its neighbours.
    """
    known, own = top_level_keys(name), own_keys(name)
    groups = {g: o for g, o in options().items() if {g, f"{g}s"} & known and g not in own}
    for argument in arguments:
        if argument.startswith("-"):
            continue
        match = _KEY.fullmatch(argument)
        if match is None or (match["value"] is None and match["mark"] != "~"):
            raise ConfigError(
                f"{argument!r} is not an override; write key=value, e.g. "
                f"{'query' if 'query' in known else 'index'}=..."
            )
        head = match["head"]
        if head in groups and not match["rest"]:
            chosen = [v.strip() for v in (match["value"] or "").strip("[]").split(",")]
            for option in chosen:
                if option and re.fullmatch(r"[\w-]+", option) and option not in groups[head]:
                    if _from_outside():
                        continue
                    raise ConfigError(f"no {head} {option!r}{did_you_mean(option, groups[head])}")
        elif head not in known and not (match["mark"] and head in groups):
            raise ConfigError(f"no setting {head!r}{did_you_mean(head, known | set(groups))}")


def own_keys(name: str) -> set[str]:
    """Keys of command ``name`` that are called like a config group but name something of an index
    (``encoder=`` of the trainings): Hydra would take them for the group."""
    text = (config_dir() / f"{config_name(name)}.yaml").read_text(encoding="utf-8")
    return set(options()) & set(re.findall(r"^(\w+):", text, re.M))


def top_level_keys(name: str) -> set[str]:
    """Keys that may start an override of command ``name``."""
    keys = {"hydra", "output"}
    path = config_dir() / f"{config_name(name)}.yaml"
    for line in path.read_text(encoding="utf-8").splitlines():
        found = re.match(r"(\w+):", line)
        if found and found[1] != "defaults":
            keys.add(found[1])
        group = re.match(r"\s+- (?:override )?(\w+):", line)
        if group:
            keys.add("encoders" if group[1] == "encoder" else group[1])
    return keys


def _from_outside() -> list[str]:
    """Config packages that other distributions add (entry points ``egorag.configs``)."""
    return [point.value for point in entry_points(group="egorag.configs")]


def search_path_override() -> list[str]:
    """The Hydra override that makes outside config packages visible."""
    packages = _from_outside()
    return [f"hydra.searchpath=[{','.join(f'pkg://{p}' for p in packages)}]"] if packages else []


def compose(name: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Compose config ``name`` with overrides into plain data.

    Raises:
        ConfigError: an override does not fit; one line.
    """
    check_keys(name, arguments)
    overrides, free = split_free_text(arguments, own_keys(name))

    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    _offer_registered()
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(config_dir().resolve())):
            config = hydra_compose(
                config_name(name), overrides=[*overrides, *search_path_override()]
            )
        return finish(name, config, free)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(one_line(error)) from error


def _offer_registered() -> None:
    """Make what ``egorag.register`` added an option of its config group."""
    from hydra.core.config_store import ConfigStore

    for group, called in GROUPS.items():
        for name, cls in registered(group).items():
            package = f"{group}.{name}" if group == "encoders" else called
            node = {"_target_": target_of(cls)}
            ConfigStore.instance().store(name, node, group=called, package=package)


def finish(name: str, config: Any, free: Mapping[str, str]) -> dict[str, Any]:
    """A composed config plus free text, as plain data without Hydra's own part.

    Raises:
        ConfigError: a required setting (``???``) was not given.
    """
    from omegaconf import OmegaConf

    settings = OmegaConf.to_container(config, resolve=True)
    assert isinstance(settings, dict)
    plain = {str(key): value for key, value in settings.items() if key != "hydra"}
    plain.update(free)
    missing = [key for key, value in plain.items() if value == "???"]
    if missing:
        given = " ".join(f"{key}=..." for key in missing)
        raise ConfigError(f"{name} needs {given}; see python -m egorag.{name} --help")
    if plain.get("output") not in ("text", "json"):
        raise ConfigError(f"output must be text or json, got {plain.get('output')!r}")
    return plain


def one_line(error: BaseException) -> str:
    """Hydra's message without its search path and hints that do not apply here."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept: list[str] = []
    for line in lines:
        if line.startswith(("Config search path", "See https", "To append to your config")):
            break
        kept.append(line)
    said = " ".join(kept) or type(error).__name__
    override = getattr(error, "override", None)
    if not override:
        return said
    key, _, value = override.lstrip("+").partition("=")
    if re.match(r"Lexer|mismatched|extraneous|missing|no viable|token recognition", said):
        said = f"""put the value in two pairs of quotes, as in '{key}="{value}"'"""
    return f"cannot read the override {key}={value}: {said}"


def parse_list(key: str, value: object) -> tuple[str, ...]:
    """A setting that is one text or a list of them, as given on a command line.

    >>> parse_list("videos", "a.mp4"), parse_list("videos", '[a.mp4, "b, c.mp4"]')
    (('a.mp4',), ('a.mp4', 'b, c.mp4'))
    """
    import yaml

    if isinstance(value, str) and value.startswith("["):
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f'{key} is no list, write {key}=\'["a", "b"]\': {error}') from error
    if value is None:
        return ()
    return tuple(str(v) for v in value) if isinstance(value, (list, tuple)) else (str(value),)


def parse_choices(value: object) -> tuple[str, ...] | None:
    """``choices=[...]`` as given on a command line: a JSON or YAML list of texts.

    >>> parse_choices('[red, "blue, mostly"]')
    ('red', 'blue, mostly')
    """
    listed = parse_list("choices", value)
    if not listed:
        return None
    if len(listed) < 2:
        raise ConfigError(
            f'choices needs two texts or more, as choices=\'["a", "b"]\'; got {value!r}'
        )
    return listed
