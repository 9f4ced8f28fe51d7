"""Configs: every option composes and builds; overrides work as documented; mistakes are named."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from egorag import config, registry
from egorag.encode.base import Medium
from egorag.encode.pretrained.base import Pretrained
from egorag.errors import ConfigError
from egorag.pipeline.recipe import Recipe

BASE = ["input=x", "index=y"]


def compose(*overrides: str) -> dict[str, object]:
    return config.compose("index", [*BASE, *overrides])


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in config.config_dir().glob("*.yaml") if path.stem != "base")
)
def test_every_command_composes(name: str) -> None:
    keys = ["index=i", "input=x", "question=q", "to=t", "labels=l", "pairs=p", "encoder=e"]
    keys += ["cuts=c", "judged=j", "questions=q", "runs=r", "trace=t", "benchmark=custom"]
    known = config.top_level_keys(name)
    given = [k for k in keys if k.partition("=")[0] in known]
    assert config.compose(name, given)["output"] == "text"


@pytest.mark.parametrize("encoder", config.options()["encoder"])
def test_every_encoder_preset_builds_alone(encoder: str) -> None:
    chosen = compose(f"encoder=[{encoder}]")["encoders"]
    assert isinstance(chosen, dict) and list(chosen) == [encoder]
    built = registry.build("encoders", encoder, chosen[encoder])
    again = registry.build("encoders", encoder, chosen[encoder])
    assert built == again and isinstance(built.medium, Medium)
    if isinstance(built, Pretrained):
        # What doctor tells of weights that are not here is known for every checkpoint named.
        told = type(built).published[built.checkpoint]
        assert told.parameters > 1e6 and told.licence
    else:
        assert built.fingerprint() == again.fingerprint()


@pytest.mark.parametrize("segmenter", config.options()["segmenter"])
def test_every_segmenter_preset_is_registered(segmenter: str) -> None:
    node = compose(f"segmenter={segmenter}")["segmenter"]
    assert isinstance(node, dict)
    assert registry.load("segmenters", node["_target_"])


def encoders(*overrides: str) -> list[str]:
    chosen = compose(*overrides)["encoders"]
    assert isinstance(chosen, dict)
    return list(chosen)


def test_hydra_overrides_as_documented() -> None:
    default = encoders()
    assert encoders("~encoders.ocr") == [name for name in default if name != "ocr"]
    assert encoders("encoder=[minilm]") == ["minilm"]
    assert encoders("encoder=minilm") == ["minilm"]
    assert encoders("encoder=[minilm]", "+encoder=[ocr,speech]") == ["minilm", "ocr", "speech"]
    assert encoders("encoder=[minilm]", "+encoder=ocr", "+encoder=speech") == [
        "minilm",
        "ocr",
        "speech",
    ]


def test_any_setting_of_a_class_can_be_tuned() -> None:
    plain = Recipe.from_settings(compose("encoder=[picture]")).encoders["picture"]
    field = next(
        f for f in fields(plain) if f.init and isinstance(getattr(plain, f.name), (int, float))
    )  # type: ignore[arg-type]
    value = getattr(plain, field.name) * 2
    tuned = Recipe.from_settings(
        compose("encoder=[picture]", f"encoders.picture.{field.name}={value}")
    ).encoders["picture"]
    assert getattr(tuned, field.name) == value
    affects = field.metadata.get("affects_output", True)
    assert (tuned.fingerprint() != plain.fingerprint()) == affects


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["inptu=3"], "did you mean 'input'"),
        (["+encoder=minlm"], "did you mean 'minilm'"),
        (["encoder=[minilm,orc]"], "did you mean 'ocr'"),
        (["segmenter=shot"], "did you mean 'shots'"),
        (["encoders.minilm.thread=3"], "did you mean 'threads'"),
        (["encoders.minlm.threads=3"], "did you mean 'minilm'"),
        (["segmenter.treshold=3"], "did you mean 'threshold'"),
        (["events.seconds=-1"], "events.seconds"),
        (["events.second=3"], "events.second"),
        (["memory=8 apples"], "memory must be auto"),
        (["memory=0"], "memory must be auto"),
        (["output=xml"], "output must be text or json"),
        (["just words"], "key=value"),
        (["encoder=[minilm"], "encoder=[minilm"),
    ],
)
def test_mistakes_are_named(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        Recipe.from_settings(compose(*overrides))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_only_registered_targets_are_instantiated() -> None:
    with pytest.raises(ConfigError, match="not a registered plugin"):
        Recipe.from_settings(compose("encoders.minilm._target_=os.system"))


@pytest.mark.parametrize(
    "text",
    [
        "it's",
        'say "no"',
        "${oc.env:HOME}",
        "a,b",
        "[x",
        "{y: z}",
        "new\nline",
        "-dash",
        "k=v",
        "../..",
        "",
    ],
)
def test_free_text_is_taken_as_it_stands(text: str) -> None:
    assert config.compose("search", ["index=i", f"query={text}"])["query"] == text
    assert config.compose("search", [f"index={text}"])["index"] == text


@pytest.mark.parametrize("name", ["ünï çode", "run=3", "[a,b]", "it's", "end\\", "#1", "a b"])
def test_a_checkpoints_folder_may_have_any_name(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    given = ["input=x", "index=y", "+encoder=xclip", f"encoders.xclip.checkpoint={folder}"]
    assert config.compose("index", given)["encoders"]["xclip"]["checkpoint"] == str(folder)


def test_a_value_hydra_cannot_read_is_told_how_to_be_quoted() -> None:
    given = ["input=x", "index=y", "+encoder=xclip", "encoders.xclip.revision=ü=1"]
    with pytest.raises(ConfigError, match=r"override encoders\.xclip\.revision=ü=1: put .* quotes"):
        config.compose("index", given)
    quoted = [*given[:-1], 'encoders.xclip.revision="ü=1"']
    assert config.compose("index", quoted)["encoders"]["xclip"]["revision"] == "ü=1"


def test_missing_settings_are_asked_for() -> None:
    with pytest.raises(ConfigError, match=r"ask needs question=\.\.\."):
        config.compose("ask", ["index=i"])


def test_choices_need_two() -> None:
    assert config.parse_choices(None) is None
    with pytest.raises(ConfigError, match="two texts"):
        config.parse_choices("[one]")
    with pytest.raises(ConfigError, match="no list"):
        config.parse_choices("[one, ")
