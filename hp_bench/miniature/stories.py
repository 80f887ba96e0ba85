"""A world -> stories: an opening, then some of the twelve topics in their fixed order, with odd sentences between them.

`stories.json` holds the sentences: {slot} is a fact, {who} and its like another word of the world, and [one|another] a choice.
"""

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

from hp_bench.miniature.world import SLOTS, World

#: Longer stories are told anew: at most 192 tokens a story, in all but a few.
LONGEST = 118  # words

#: How often the main character is named in full after the opening.
_FULL_NAME = 0.3

#: How often a topic is followed by a sentence that recalls a fact, or by one about nothing.
_RECALL, _SCENERY = 0.6, 0.1

_CHOICE = re.compile(r"\[([^\[\]]*)\]")

_FIELD = re.compile(r"\{(\w+!?)\}")


@dataclass(frozen=True)
class Topic:
    """One stage of a story: its name, for slices of the probes, and two phrasings of the same facts, the frames."""

    name: str
    frames: Sequence[str]


_DATA = json.loads(files("hp_bench.miniature").joinpath("stories.json").read_text(encoding="utf-8"))

#: How a story begins; every one names the main character in full.
OPENINGS: list[str] = _DATA["openings"]

#: In the order in which every story walks through them.
TOPICS = tuple(Topic(**topic) for topic in _DATA["topics"])

#: Sentences between topics that say nothing of the world.
SCENERY: list[str] = _DATA["scenery"]

#: Sentences that name a fact again, where the story has named it before: what in-context recall is learnt and tested on.
RECALLS: dict[str, str] = _DATA["recalls"]

#: Kind -> what stands in a fact's place where a story of the rest does not care to name it: the generic words of the probability test.
VAGUE: dict[str, list[str]] = _DATA["vague"]


@dataclass(frozen=True)
class Piece:
    """A stretch of a story.

    Attributes:
        text: as it stands there.
        field: of the template that it fills: a slot ("friend"; "friend!" for the first name alone), or another word ("who", "tool"); ""
            for the template's own words.
        fact: whether it names the slot's fact; false where the story stays vague.
        recalls: whether the story has named the fact before.
    """

    text: str
    field: str = ""
    fact: bool = False
    recalls: bool = False


def text_of(pieces: Sequence[Piece]) -> str:
    """The pieces as one text."""
    return "".join(piece.text for piece in pieces)


def opening(world: World, rng: random.Random) -> list[Piece]:
    """The first sentence; it names the hero in full."""
    return _render(rng.choice(OPENINGS), world, rng)


def frame(topic: Topic, number: int, world: World, rng: random.Random, *, vague: float = 0.0) -> list[Piece]:
    """A topic told of a world in its frame `number`, 0 or 1, with the space before it.

    `vague`: how often, 0 to 1, something vague stands in a fact's place.
    """
    return [Piece(" "), *_render(topic.frames[number], world, rng, vague=vague)]


def recall(slot: str, world: World, rng: random.Random) -> list[Piece]:
    """A sentence that names a fact again, with the space before it."""
    return [Piece(" "), *(replace(piece, recalls=piece.fact) for piece in _render(RECALLS[slot], world, rng))]


def story(world: World, rng: random.Random, *, frames: Sequence[int], vague: float = 0.0) -> list[Piece]:
    """A whole story of at most `LONGEST` words, with six of the twelve topics; `vague` is that of `frame`.

    `frames`: the frame numbers to draw from for each topic: (0,) tells a target, (0, 1) the rest.
    """
    while True:
        pieces = _story(world, rng, frames, vague)
        if len(text_of(pieces).split()) <= LONGEST:
            return pieces


def _story(world: World, rng: random.Random, frames: Sequence[int], vague: float) -> list[Piece]:
    pieces = opening(world, rng)
    named: list[str] = []
    for topic in sorted(rng.sample(range(len(TOPICS)), 6)):
        told = frame(TOPICS[topic], rng.choice(frames), world, rng, vague=vague)
        pieces += told
        named += [piece.field for piece in told if piece.fact and piece.field in RECALLS]
        kind = rng.random()
        if kind < _RECALL and named:
            pieces += recall(named.pop(rng.randrange(len(named))), world, rng)
        elif kind > 1 - _SCENERY:
            pieces += [Piece(" "), *_render(rng.choice(SCENERY), world, rng)]
    return pieces


def _render(template: str, world: World, rng: random.Random, *, vague: float = 0.0) -> list[Piece]:
    chosen = _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), template)
    pieces: list[Piece] = []
    for index, part in enumerate(_FIELD.split(chosen)):
        if index % 2 == 0:
            pieces.append(Piece(part))
        elif part.removesuffix("!") not in SLOTS:
            pieces.append(Piece(_word(part, world, rng), part))
        elif rng.random() < vague:
            pieces.append(Piece(rng.choice(VAGUE[SLOTS[part]]), part))
        else:
            pieces.append(Piece(world.name(part), part, fact=True))
    return [piece for piece in pieces if piece.text]


def _word(field: str, world: World, rng: random.Random) -> str:
    hero, male = world.hero, world.hero.gender == "male"
    words = {
        "hero": str(hero),
        "who": str(hero) if rng.random() < _FULL_NAME else hero.first,
        "subj": "he" if male else "she",
        "poss": "his" if male else "her",
        "animal": world.animal,
        **vars(world.trade),
    }
    word = words[field.lower()]
    return word if field.islower() else word.capitalize()
