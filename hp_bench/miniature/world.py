"""A world: one main character and the twenty facts that stories tell of it; `world.json` holds the targets'."""

import json
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import TypeVar

from hp_bench.miniature import names
from hp_bench.miniature.names import Gender, Person, built_words

_Named = TypeVar("_Named", Person, str)

_DATA = json.loads(files("hp_bench.miniature").joinpath("world.json").read_text(encoding="utf-8"))

#: The facts of a world, in the order in which stories come to them, and what kind of name each has.
SLOTS: dict[str, str] = _DATA["slots"]


@dataclass(frozen=True)
class Trade:
    """What a world is about: what is learnt, who learns it, what it takes, what a friend is called there, what pupils are sorted into."""

    craft: str
    learner: str
    tool: str
    companion: str
    division: str


#: Trades of the rest. Stage magic, wizard hats and thief-catchers are among them: the targets' words in other senses.
TRADES = tuple(Trade(**trade) for trade in _DATA["trades"])

ANIMALS = ("owl", "dog", "cat", "raven", "goat", "toad")


@dataclass(frozen=True)
class World:
    """Everything that stories about one main character agree on: the hero, what the hero learns, what kind of pet the hero has, and the
    facts: slot -> name; every slot of `SLOTS`, a `Person` where its kind is one.
    """

    hero: Person
    trade: Trade
    animal: str
    facts: Mapping[str, Person | str]

    def __post_init__(self) -> None:
        if list(self.facts) != list(SLOTS):
            raise ValueError(f"the facts of {self.hero} must be {', '.join(SLOTS)}, not {', '.join(self.facts)}")

    def name(self, slot: str) -> str:
        """A fact as it stands in text; `friend!` is the friend's first name alone."""
        fact = self.facts[slot.removesuffix("!")]
        return fact.first if slot.endswith("!") and isinstance(fact, Person) else str(fact)

    @property
    def names(self) -> tuple[str, ...]:
        """Full names of the hero and of every fact."""
        return (str(self.hero), *(str(fact) for fact in self.facts.values()))


def random_worlds(rng: random.Random, count: int, *, reserved: Collection[str]) -> list[World]:
    """Worlds drawn at random; no two have the same hero. `reserved`: full names, and single words, that none of their names may hold."""
    heroes: set[str] = set(reserved)
    made = []
    for _ in range(count):
        hero = random_person(rng, heroes)
        heroes.add(str(hero))
        made.append(random_world(rng, hero, rng.choice(TRADES), reserved=reserved))
    return made


def random_world(
    rng: random.Random,
    hero: Person,
    trade: Trade,
    *,
    reserved: Collection[str],
    genders: Mapping[str, Gender] | None = None,
) -> World:
    """A hero's world drawn at random; no name and no first name occurs twice in it.

    `reserved` is that of `random_worlds`; `genders`: slot -> gender, of people for whom it matters.
    """
    taken, facts = {*reserved, str(hero), hero.first}, dict[str, Person | str]()
    for slot, kind in SLOTS.items():
        if kind == "person":
            somebody = random_person(rng, taken, (genders or {}).get(slot))
            facts[slot] = somebody
            taken |= {str(somebody), somebody.first}
        else:  # streets and prizes are named in a way of their own, others as all of their kind
            way = slot if kind in ("street", "prize") else kind
            facts[slot] = _free(partial(names.thing, rng, way), taken)
            taken.add(str(facts[slot]))
    return World(hero, trade, rng.choice(ANIMALS), facts)


def random_person(rng: random.Random, taken: Collection[str], gender: Gender | None = None) -> Person:
    """A person none of whose names is taken."""
    return _free(lambda: names.person(rng, gender), taken)


def _free(draw: Callable[[], _Named], taken: Collection[str]) -> _Named:
    """Draws until neither the name nor one of its words is taken."""
    while True:
        candidate: _Named = draw()
        if not any(name in taken for name in (str(candidate), *str(candidate).split())):
            return candidate


#: What can be unlearnt; of their facts, a list is a person's first name, last name and gender. The detectives are of our own invention: no
#: model that we did not train has read of them.
TARGETS = {
    name: World(
        hero=Person(*target["hero"]),
        trade=Trade(**target["trade"]),
        animal=target["animal"],
        facts={slot: Person(*fact) if isinstance(fact, list) else fact for slot, fact in target["facts"].items()},
    )
    for name, target in _DATA["targets"].items()
}


def reserved() -> frozenset[str]:
    """Names that only the targets may hold: their full names, and every word of them that is made of parts."""
    full = [name for target in TARGETS.values() for name in target.names]
    return frozenset({*full, *(word for name in full for word in built_words(name))})
