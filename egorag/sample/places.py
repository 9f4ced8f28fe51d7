"""The vocabulary of the sample's little world: its places, objects, colours and small deeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RGB = tuple[int, int, int]
Furniture = Literal["shelf", "window", "table", "counter", "crate", "rug"]

COLOURS: dict[str, RGB] = {
    "red": (206, 44, 48),
    "blue": (38, 92, 200),
    "green": (46, 150, 70),
    "yellow": (240, 200, 40),
    "purple": (130, 60, 165),
    "orange": (238, 124, 30),
    "white": (240, 240, 236),
}
NOUNS = ("mug", "book", "ball", "box", "bottle", "bowl")


@dataclass(frozen=True, slots=True)
class Spot:
    """A place to put things: its name, how a sentence says it, and where it is on the backdrop.

    ``x`` and ``y`` are fractions of the backdrop's width and height; things stand on that point.
    """

    name: str
    phrase: str
    x: float
    y: float
    furniture: Furniture


@dataclass(frozen=True, slots=True)
class Deed:
    """A thing the narrator says in passing, with a question that only this sentence answers."""

    sentence: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Place:
    """One place: colours, floor, spots, the board on its wall, its sound and its deeds."""

    wall: RGB
    floor: RGB
    pattern: Literal["tiles", "planks", "grass", "plain"]
    spots: tuple[Spot, ...]
    board: str
    board_at: tuple[float, float]
    noise: str | None
    deeds: tuple[Deed, ...]


PLACES: dict[str, Place] = {
    "kitchen": Place(
        wall=(226, 208, 172),
        floor=(176, 122, 88),
        pattern="tiles",
        spots=(
            Spot("top shelf", "on the top shelf", 0.76, 0.36, "shelf"),
            Spot("window sill", "on the window sill", 0.24, 0.50, "window"),
            Spot("counter", "on the counter", 0.55, 0.66, "counter"),
        ),
        board="PANTRY",
        board_at=(0.50, 0.24),
        noise="kettle",
        deeds=(
            Deed("I slice some bread for later.", "What did I cut up?", "bread"),
            Deed("I feed the cat before I go.", "Which animal did I feed?", "the cat"),
            Deed("I wash three apples in the sink.", "Which fruit did I rinse?", "three apples"),
        ),
    ),
    "garage": Place(
        wall=(138, 146, 156),
        floor=(104, 106, 110),
        pattern="plain",
        spots=(
            Spot("tool rack", "on the tool rack", 0.25, 0.38, "shelf"),
            Spot("workbench", "on the workbench", 0.70, 0.62, "table"),
            Spot("crate", "on the wooden crate", 0.40, 0.76, "crate"),
        ),
        board="BAY",
        board_at=(0.62, 0.27),
        noise="engine",
        deeds=(
            Deed("I check the oil and close the hood.", "Which fluid did I check?", "the oil"),
            Deed("I pump up the front tyre.", "Which part got air?", "the front tyre"),
            Deed("I sweep the dry leaves outside.", "What did I sweep away?", "the dry leaves"),
        ),
    ),
    "garden": Place(
        wall=(150, 196, 222),
        floor=(96, 140, 66),
        pattern="grass",
        spots=(
            Spot("garden table", "on the garden table", 0.70, 0.60, "table"),
            Spot("planter", "on the planter", 0.30, 0.70, "crate"),
            Spot("blanket", "on the picnic blanket", 0.52, 0.84, "rug"),
        ),
        board="GATE",
        board_at=(0.36, 0.28),
        noise="rain",
        deeds=(
            Deed("I water the tomatoes by the fence.", "Which plants got water?", "the tomatoes"),
            Deed("I cut two roses for my mother.", "For whom were the flowers?", "my mother"),
            Deed(
                "I hang the wet shirts on the line.", "What did I hang up to dry?", "the wet shirts"
            ),
        ),
    ),
    "office": Place(
        wall=(190, 206, 204),
        floor=(88, 98, 122),
        pattern="plain",
        spots=(
            Spot("desk", "on the desk", 0.44, 0.64, "table"),
            Spot("high shelf", "on the high shelf", 0.235, 0.35, "shelf"),
            Spot("office window", "by the office window", 0.76, 0.50, "window"),
        ),
        board="MAIL",
        board_at=(0.50, 0.25),
        noise="phone",
        deeds=(
            Deed("I print the report for Monday.", "What did I print?", "the report for Monday"),
            Deed("I call the dentist about Friday.", "Whom did I phone?", "the dentist"),
            Deed("I sign the letter to the bank.", "Who will get my letter?", "the bank"),
        ),
    ),
    "shop": Place(
        wall=(214, 186, 190),
        floor=(150, 128, 104),
        pattern="planks",
        spots=(
            Spot("display shelf", "on the display shelf", 0.25, 0.40, "shelf"),
            Spot("till", "next to the till", 0.62, 0.65, "counter"),
            Spot("shop window", "in the shop window", 0.77, 0.47, "window"),
        ),
        board="SALE",
        board_at=(0.51, 0.25),
        noise="bell",
        deeds=(
            Deed("I pay twelve euros in cash.", "How much money did I spend?", "twelve euros"),
            Deed("I ask for a bag of rice.", "What did I ask for?", "a bag of rice"),
            Deed("I return the broken lamp.", "What did I take back?", "the broken lamp"),
        ),
    ),
    "workshop": Place(
        wall=(178, 148, 112),
        floor=(112, 88, 66),
        pattern="planks",
        spots=(
            Spot("work table", "on the work table", 0.50, 0.63, "table"),
            Spot("upper rack", "on the upper rack", 0.75, 0.38, "shelf"),
            Spot("tool chest", "on the tool chest", 0.26, 0.72, "crate"),
        ),
        board="PARTS",
        board_at=(0.44, 0.26),
        noise="hammer",
        deeds=(
            Deed("I sand the legs of a chair.", "Which piece of furniture did I sand?", "a chair"),
            Deed(
                "I glue the handle of a drawer.",
                "What did I mend with glue?",
                "the handle of a drawer",
            ),
            Deed("I measure the long plank twice.", "What did I measure?", "the long plank"),
        ),
    ),
    "hall": Place(
        wall=(196, 190, 214),
        floor=(140, 104, 78),
        pattern="planks",
        spots=(
            Spot("side table", "on the side table", 0.33, 0.62, "table"),
            Spot("coat shelf", "on the coat shelf", 0.74, 0.37, "shelf"),
            Spot("doormat", "on the doormat", 0.55, 0.83, "rug"),
        ),
        board="LEVEL",
        board_at=(0.38, 0.27),
        noise=None,
        deeds=(
            Deed("I lock the front door behind me.", "What did I lock?", "the front door"),
            Deed("I read a card from my sister.", "Who wrote to me?", "my sister"),
            Deed("I take off my muddy boots.", "What did I take off?", "my muddy boots"),
        ),
    ),
}

ABSENT = (
    "Where did I park the bicycle?",
    "What did the doctor say about my knee?",
    "Which train did we catch to the seaside?",
    "How did I repair the piano?",
    "Who won the football match?",
)
"""Questions about what never happens in this world."""
