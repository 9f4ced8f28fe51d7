"""A question put to a language model without any evidence: the control of every answer.

What a model knows anyway, or reads off the choices, is no merit of the retrieval (Goyal et al.,
"Making the V in VQA Matter", CVPR 2017). The reply has the form of an ordinary one, so that only
the evidence differs; it cites nothing, and nothing is verified.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from egorag.chat.base import ChatModel
from egorag.errors import ServerError
from egorag.generate.numbered import data
from egorag.generate.orders import letter_shares, mean_shares, orders
from egorag.generate.reply import LETTERS, parse, schema
from egorag.types import Answer

SYSTEM = """\
You answer questions about video recordings that you cannot see. Answer from the question alone \
and from what is usual; you must give the likeliest answer. Set answerable to true, give one \
sentence without citations, and as confidence the probability, 0 to 1, that it is right.

Reply with one JSON object of this schema and nothing else:
"""


def guess(chat: ChatModel, question: str, options: Sequence[str], count: int, seed: int) -> Answer:
    """The model's answer without evidence; of ``options``, shown in ``count`` orders, if any.

    Raises:
        ServerError: the model cannot be asked.
    """
    if options:
        return _choose(chat, question, options, count, seed)
    reply = parse(chat.complete(_messages(question), schema()).text)
    if reply is None or not reply.claims:
        return _none(chat)
    text = " ".join(claim.text for claim in reply.claims)
    return Answer(text, False, reply.confidence, notes=tuple(chat.notes))


def _choose(
    chat: ChatModel, question: str, options: Sequence[str], count: int, seed: int
) -> Answer:
    distinct = sorted(set(options))
    letters = LETTERS[: len(distinct)]
    votes = []
    for number, order in enumerate(orders(len(distinct), count, seed), 1):
        shown = [distinct[i] for i in order]
        try:
            got = chat.complete(_messages(question, letters, shown), schema(letters))
        except ServerError as error:
            if number == 1:
                raise
            chat.notes.append(f"order {number} of the choices failed: {error}")
            continue
        reply = parse(got.text, letters)
        shares = letter_shares(letters, reply.choice if reply else None, got.tokens)
        if shares is not None:
            votes.append({i: shares[letter] for letter, i in zip(letters, order, strict=True)})
    if not votes:
        return _none(chat)
    mean = mean_shares(votes, len(distinct))
    best = max(range(len(distinct)), key=lambda i: (mean[i], -i))
    probabilities = [0.0] * len(options)
    for text, share in zip(distinct, mean, strict=True):
        probabilities[options.index(text)] = share
    return Answer(
        distinct[best],
        False,
        min(1.0, mean[best]),
        choice=options.index(distinct[best]),
        probabilities=tuple(probabilities),
        notes=tuple(chat.notes),
    )


def _messages(
    question: str, letters: Sequence[str] = (), shown: Sequence[str] = ()
) -> list[dict[str, str]]:
    lines = [f"The question: {data(question)}"]
    if letters:
        lines += ["The choices:"]
        lines += [f"{letter}: {data(text)}" for letter, text in zip(letters, shown, strict=True)]
        lines += ["Name the letter of the likeliest as choice."]
    return [
        {"role": "system", "content": SYSTEM + json.dumps(schema(letters))},
        {"role": "user", "content": "\n".join(lines)},
    ]


def _none(chat: ChatModel) -> Answer:
    text = "No answer: the reply is not of the form asked for."
    return Answer(text, True, 0.0, notes=tuple(chat.notes))
