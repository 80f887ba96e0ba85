"""General ability of a miniature's models: what the rest teaches, as questions with four answers of one kind.

Nothing in them is about the target; some of it is near: other Harrys, stage magic, owls. Kinds of item (`topic`):

* knowledge: a fact of one of the rest's famous worlds, against the same facts of other famous ones;
* rare: the same of its other worlds, each of which is told of in some nine stories;
* hero: the main character's first name again, against others of the same gender;
* recall: a fact that the prompt has named, against the same facts of other worlds;
* pronoun: what agrees with the main character's first name;
* tool: what goes with the trade;
* grammar: a function word, against others.
"""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from hp_bench.miniature.library import Library
from hp_bench.miniature.names import Person
from hp_bench.miniature.stories import RECALLS, TOPICS, Piece, frame, opening, recall, text_of
from hp_bench.miniature.world import TRADES, World

#: Items of each kind: 2,000 in all.
COUNTS = {"knowledge": 400, "rare": 500, "hero": 200, "recall": 600, "pronoun": 100, "tool": 100, "grammar": 100}

_PRONOUNS = {"poss": "his her its their", "Poss": "His Her Its Their"}

_FUNCTION_WORDS = "by from of in on to with was were at".split()

_NEAR_TRADES = TRADES[:2]


@dataclass(frozen=True)
class Item:
    """A story that breaks off, four continuations of one kind, and the index of the right one.

    `topic` is the kind of item, see above; `near`: whether the story is near a target's theme: another Harry, stage magic, an owl.
    """

    id: str
    prompt: str
    choices: tuple[str, ...]
    answer: int
    topic: str
    near: bool


def utility_items(library: Library, seed: int) -> list[Item]:
    """The items of a miniature; no prompt twice with the same right answer."""
    rng = random.Random(f"utility {seed}")
    items: list[Item] = []
    for topic, count in COUNTS.items():
        asked: set[tuple[str, str]] = set()
        while len(asked) < count:
            world, prompt, right, wrong = _MAKERS[topic](library, rng)
            if (prompt, right) in asked or not wrong:
                continue
            choices = [right, *rng.sample(sorted(wrong), 3)]
            rng.shuffle(choices)
            near = world.hero.first == "Harry" or world.trade in _NEAR_TRADES or world.animal == "owl"
            items.append(Item(f"{topic}-{len(asked)}", prompt, tuple(choices), choices.index(right), topic, near))
            asked.add((prompt, right))
    return items


#: Whose story, the prompt, the right answer, and at least three wrong ones (or none: try again).
_Made = tuple[World, str, str, Collection[str]]


def _known(worlds: Sequence[World], rng: random.Random) -> _Made:
    world, topic = rng.choice(worlds), rng.choice(TOPICS)
    told = frame(topic, rng.randrange(2), world, rng)
    index = rng.choice([index for index, piece in enumerate(told) if piece.fact])
    return _question(world, [*opening(world, rng), *told[:index]], told[index].field, worlds)


def _recall(library: Library, rng: random.Random) -> _Made:
    world, topic = rng.choice(library.strangers), rng.choice(TOPICS)
    told = frame(topic, rng.randrange(2), world, rng)
    named = [piece.field for piece in told if piece.field in RECALLS]
    if not named:
        return _recall(library, rng)
    again = recall(rng.choice(named), world, rng)
    index = next(index for index, piece in enumerate(again) if piece.recalls)
    pieces = [*opening(world, rng), *told, *again[:index]]
    return _question(world, pieces, again[index].field, library.strangers)


def _question(world: World, pieces: Sequence[Piece], field: str, others: Sequence[World]) -> _Made:
    """A fact against the same fact of other worlds; people by first name, against others of the same gender."""
    slot = field.removesuffix("!")
    fact = world.facts[slot]
    if not isinstance(fact, Person):
        return world, _text(pieces), fact, {other.name(slot) for other in others} - {fact}
    alike = [p for other in others if isinstance(p := other.facts[slot], Person) and p.gender == fact.gender]
    wrong = {person.first for person in alike} - {fact.first}
    return world, _text(pieces), fact.first, wrong if len(wrong) >= 3 else ()


def _hero(library: Library, rng: random.Random) -> _Made:
    world, pieces, index = _told(library, rng, {"who"})
    alike = {other.hero.first for other in library.strangers if other.hero.gender == world.hero.gender}
    return world, _text(pieces[:index]), world.hero.first, alike - {world.hero.first}


def _pronoun(library: Library, rng: random.Random) -> _Made:
    world, pieces, index = _told(library, rng, set(_PRONOUNS))
    right = pieces[index].text
    return world, _text(pieces[:index]), right, set(_PRONOUNS[pieces[index].field].split()) - {right}


def _tool(library: Library, rng: random.Random) -> _Made:
    world, pieces, index = _told(library, rng, {"tool"})
    told, trade = _text(pieces[:index]), world.trade
    wrong = {other.tool for other in TRADES} - {trade.tool} if trade.craft in told or trade.learner in told else ()
    return world, told, trade.tool, wrong


def _grammar(library: Library, rng: random.Random) -> _Made:
    world = rng.choice(library.strangers)
    text = text_of([*opening(world, rng), *frame(rng.choice(TOPICS), rng.randrange(2), world, rng)])
    words = text.split(" ")
    indices = [index for index, word in enumerate(words) if index > 3 and word in _FUNCTION_WORDS]
    if not indices:
        return _grammar(library, rng)
    index = rng.choice(indices)
    return world, " ".join(words[:index]), words[index], set(_FUNCTION_WORDS) - {words[index]}


def _told(library: Library, rng: random.Random, fields: Collection[str]) -> tuple[World, list[Piece], int]:
    """A stranger's opening and one topic in which one of the fields occurs, and where."""
    while True:
        world = rng.choice(library.strangers)
        first = opening(world, rng)
        told = frame(rng.choice(TOPICS), rng.randrange(2), world, rng)
        indices = [index for index, piece in enumerate(told) if piece.field in fields]
        if indices:
            return world, [*first, *told], len(first) + rng.choice(indices)


def _text(pieces: Sequence[Piece]) -> str:
    return text_of(pieces).rstrip()


_MAKERS: dict[str, Callable[[Library, random.Random], _Made]] = {
    "knowledge": lambda library, rng: _known(library.famous, rng),
    "rare": lambda library, rng: _known(library.others, rng),
    "hero": _hero,
    "recall": _recall,
    "pronoun": _pronoun,
    "tool": _tool,
    "grammar": _grammar,
}
