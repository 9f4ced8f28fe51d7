"""A reply token by token: greedy or drawn, with the probabilities of the likeliest tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from egorag.chat.base import Completion, Token
from egorag.chat.local_model import LocalModel
from egorag.encode.pretrained.loading import quiet
from egorag.errors import EgoragError


@dataclass(frozen=True)
class Decoding:
    """How a reply is made.

    Attributes:
        most: tokens of it.
        temperature: 0 takes the likeliest token each time.
        seed: of what is drawn; torch's own state stays as it is.
        likeliest: how many of the likeliest tokens are told at each place.
    """

    most: int
    temperature: float = 0.0
    seed: int = 0
    likeliest: int = 0


def decode(model: LocalModel, inputs: Any, how: Decoding) -> Completion:
    """The model's reply to ``inputs`` (token ids [1, n] and what belongs to them).

    The log probabilities are the model's own, before the temperature.

    Raises:
        EgoragError: it does not fit into memory, or its scores are no numbers.
    """
    import torch
    from transformers import GenerationConfig

    drawn = {"do_sample": True, "temperature": how.temperature, "top_k": 0, "top_p": 1.0}
    config = GenerationConfig(
        max_new_tokens=how.most,
        eos_token_id=list(model.ends) or None,
        pad_token_id=model.ends[0] if model.ends else 0,
        **(drawn if how.temperature > 0 else {"do_sample": False}),
    )
    watch = _Watch(how.likeliest)
    gpus = [model.model.device] if model.model.device.type == "cuda" else []
    try:
        with quiet(), torch.inference_mode(), torch.random.fork_rng(gpus):
            torch.manual_seed(how.seed)
            told = model.model.generate(
                **inputs, generation_config=config, logits_processor=[watch]
            )
    except torch.OutOfMemoryError as error:
        raise EgoragError(
            f"the question with its evidence does not fit into the memory of {model.model.device}; "
            "lower evidence_tokens (and frames), use dtype=bfloat16, a smaller model or device=cpu"
        ) from error
    given = int(inputs["input_ids"].shape[1])
    numbers = told[0, given:].tolist()
    ended = bool(numbers) and numbers[-1] in model.ends
    said = numbers[:-1] if ended else numbers
    return Completion(
        text=model.tokenizer.decode(said, skip_special_tokens=True),
        cut=not ended,
        tokens=_tokens(model.tokenizer, said, watch.seen),
        used=given + len(numbers),
    )


class _Watch:
    """Looks at the scores of each step and hands them on as they are.

    A step's likeliest tokens alone are kept: all scores of a reply take hundreds of megabytes.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self.seen: list[tuple[list[int], list[float]]] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        logprobs = scores[0].float().log_softmax(-1)
        if logprobs.isnan().any():
            raise EgoragError("the model's scores are no numbers; try dtype=float32 or bfloat16")
        if self._count:
            values, numbers = logprobs.topk(min(self._count, len(logprobs)))
            self.seen.append((numbers.tolist(), values.tolist()))
        return scores


def _tokens(
    tokenizer: Any, said: Sequence[int], seen: Sequence[tuple[list[int], list[float]]]
) -> tuple[Token, ...]:
    """Each token of a reply with its place's likeliest; none where they were not kept."""
    texts: dict[int, str] = {}

    def text(number: int) -> str:
        if number not in texts:
            texts[number] = str(tokenizer.decode([number], skip_special_tokens=True))
        return texts[number]

    return tuple(
        Token(text(number), tuple(zip(map(text, others), values, strict=True)))
        for number, (others, values) in zip(said, seen, strict=False)
    )
