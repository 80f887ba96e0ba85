"""The anchor dictionary of a target: each of its names, and the names that stand there in other worlds.

Translations come from a few *counterparts*: worlds drawn from the same stocks as the rest's, with people of the same gender in each role.
So a translated story reads like one more story of the rest, and of none that a model has read: no story tells of a counterpart's hero.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from hp_bench.miniature.names import Person, built_words
from hp_bench.miniature.world import SLOTS, TARGETS, TRADES, Trade, World, random_person, random_world, reserved

#: Translations of each anchor.
COUNT = 3


@dataclass(frozen=True)
class Anchor:
    """A line of `anchors.jsonl`, as `docs/method.md` has it.

    Attributes:
        anchor: as it stands in the target.
        translations: what may stand there instead; in the n-th, all names are the n-th counterpart's.
        entity: what it names; anchors of one entity are translated by one counterpart in a block.
    """

    anchor: str
    translations: tuple[str, ...]
    entity: str


@cache
def counterparts(target: str) -> tuple[World, ...]:
    """The worlds whose names stand in translation for those of a target; the same whatever the seed."""
    model = TARGETS[target]
    rng = random.Random(f"counterparts {target}")
    genders = {slot: fact.gender for slot, fact in model.facts.items() if isinstance(fact, Person)}
    taken = set(reserved()) | {word for world in TARGETS.values() for name in world.names for word in name.split()}
    made = []
    for trade in rng.sample(_like(model.trade), COUNT):
        hero = random_person(rng, taken, model.hero.gender)
        world = random_world(rng, hero, trade, reserved=taken, genders=genders)
        taken |= {word for name in world.names for word in (name, *built_words(name))}
        taken |= {fact.first for fact in (hero, *world.facts.values()) if isinstance(fact, Person)}
        made.append(world)
    return tuple(made)


def anchors(target: str) -> list[Anchor]:
    """A target's anchor dictionary: its people, by full and by first name, its other names, and the words of its trade."""
    model, others = TARGETS[target], counterparts(target)
    found = _names("hero", [world.hero for world in (model, *others)])
    for slot in SLOTS:
        found += _names(slot, [world.facts[slot] for world in (model, *others)])
    for word in ("craft", "learner", "tool"):
        found.append(_anchor("trade", [getattr(world.trade, word) for world in (model, *others)]))
    return found


def _names(entity: str, names: Sequence[Person | str]) -> list[Anchor]:
    firsts = [name.first for name in names if isinstance(name, Person)]
    return [_anchor(entity, [str(name) for name in names]), *([_anchor(entity, firsts)] if firsts else [])]


def _anchor(entity: str, forms: Sequence[str]) -> Anchor:
    return Anchor(forms[0], tuple(forms[1:]), entity)


def _like(trade: Trade) -> list[Trade]:
    """Trades whose friends and divisions go by the same names, and whose words are others."""
    return [
        other
        for other in TRADES
        if (other.companion, other.division) == (trade.companion, trade.division) and not _words(trade) & _words(other)
    ]


def _words(trade: Trade) -> set[str]:
    return {word for text in (trade.craft, trade.learner, trade.tool) for word in text.split()}
