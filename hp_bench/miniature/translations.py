"""The anchor dictionary of a target: each of its names, and the names that stand there in other worlds.

Translations come from a few *counterparts*: worlds drawn from the same stocks as the rest's, with people of the same gender in each role.
So a translated story reads like one more story of the rest, and of none that a model has read: no story tells of a counterpart's hero.
"""

import random
from functools import cache

from hp_bench.miniature.names import Person, built_words
from hp_bench.miniature.world import SLOTS, TARGETS, TRADES, Trade, World, random_person, random_world, reserved
from unlearn.anchors.dictionary import Anchor

#: Translations of each anchor.
COUNT = 3


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
    worlds = TARGETS[target], *counterparts(target)
    names: list[tuple[str, list[Person | str]]] = [("hero", [world.hero for world in worlds])]
    names += [(slot, [world.facts[slot] for world in worlds]) for slot in SLOTS]
    forms: list[tuple[str, list[str]]] = []
    for entity, each in names:
        forms.append((entity, list(map(str, each))))
        if firsts := [name.first for name in each if isinstance(name, Person)]:
            forms.append((entity, firsts))
    forms += [("trade", [getattr(world.trade, word) for world in worlds]) for word in ("craft", "learner", "tool")]
    return [Anchor(own, tuple(others), entity) for entity, (own, *others) in forms]


def _like(trade: Trade) -> list[Trade]:
    """Trades whose friends and divisions go by the same names, and whose words are others."""
    alike = [one for one in TRADES if (one.companion, one.division) == (trade.companion, trade.division)]
    words = {one: {*f"{one.craft} {one.learner} {one.tool}".split()} for one in (trade, *alike)}
    return [one for one in alike if not words[trade] & words[one]]
