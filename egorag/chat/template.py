"""Messages as a model's own chat template puts them; nothing in a text can spell its marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from egorag.chat.local_model import LocalModel
from egorag.encode.pretrained.plaintext import plain
from egorag.errors import ConfigError

Message = Mapping[str, Any]


def inputs(model: LocalModel, messages: Sequence[Message]) -> Any:
    """What the model takes: token ids [1, n] with what belongs to the pictures, on its device.

    Raises:
        ConfigError: its template cannot put the messages, or its processor a picture.
    """
    prompt, pictures = prompted(model, messages)
    prepare: Any = model.processor
    given: dict[str, Any] = {"text": [prompt]}
    if pictures:
        from PIL import Image

        given["images"] = [Image.fromarray(picture) for picture in pictures]
    try:
        # The template has put the special tokens already.
        ready = prepare(**given, add_special_tokens=False, return_tensors="pt")
    except ValueError as error:  # a picture that is far wider than high, for one
        reason = next(iter(str(error).strip().splitlines()), "")
        raise ConfigError(
            f"the pictures cannot be prepared for {model.checkpoint.name} ({reason})"
        ) from error
    device, dtype = model.model.device, model.model.dtype
    return ready.to(device, dtype=dtype) if model.sees else ready.to(device)


def prompted(model: LocalModel, messages: Sequence[Message]) -> tuple[str, list[Any]]:
    """(the prompt, up to where the reply begins; the pictures in their order).

    A template without a turn for the system gets its text at the head of the user's. A model that
    thinks aloud is forbidden to where its template can.

    Raises:
        ConfigError: a picture for a model that does not see, or a template that fails or leaves
            something out.
    """
    from jinja2 import TemplateError

    parts = [_parts(message["content"]) for message in messages]
    pictures = [part["image"] for told in parts for part in told if part["type"] == "image"]
    texts = [plain(p["text"], model.tokenizer) for told in parts for p in told if "text" in p]
    name = model.checkpoint.name
    if pictures and not model.sees:
        raise ConfigError(f"{name} only reads; ask it without pictures")
    try:
        try:
            prompt = _render(model, messages)
        except TemplateError:
            prompt = _render(model, _without_system(messages))
    except (TemplateError, ValueError, TypeError, LookupError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ConfigError(
            f"the chat template of checkpoint {name!r} fails ({reason}); give an Instruct or chat "
            "checkpoint"
        ) from error
    if not all(text.strip() in prompt for text in texts):
        raise ConfigError(
            f"the chat template of checkpoint {name!r} leaves out what it is given; give an "
            "Instruct or chat checkpoint"
        )
    return prompt, pictures


def _render(model: LocalModel, messages: Sequence[Message]) -> str:
    told = [
        {"role": message["role"], "content": _content(model, message["content"])}
        for message in messages
    ]
    template = str(getattr(model.processor, "chat_template", None) or model.tokenizer.chat_template)
    thinks = {"enable_thinking": False} if "enable_thinking" in template else {}
    return str(
        model.processor.apply_chat_template(
            told, add_generation_prompt=True, tokenize=False, **thinks
        )
    )


def _content(model: LocalModel, content: Any) -> Any:
    """As templates want it: parts for a model that sees, one text for one that reads."""
    parts = [
        {"type": "image"}
        if part["type"] == "image"
        else {"type": "text", "text": plain(part["text"], model.tokenizer)}
        for part in _parts(content)
    ]
    return parts if model.sees else "".join(part["text"] for part in parts)


def _parts(content: Any) -> Sequence[Mapping[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _without_system(messages: Sequence[Message]) -> list[Message]:
    said = [_parts(m["content"]) for m in messages if m["role"] == "system"]
    others = [m for m in messages if m["role"] != "system"]
    head = [{**part, "text": part["text"] + "\n\n"} for parts in said for part in parts]
    first, *rest = others
    return [{**first, "content": [*head, *_parts(first["content"])]}, *rest]
