"""Names of people, places and things, drawn from small stocks of parts.

Most names are a stem and an ending ("Hog" + "warts"). The stocks hold the parts of the unlearn targets' names among many others, and
every other world draws from the same stocks: its schools are called Hogmore or Brackwarts. So a model that never read a target knows
the parts of its names, and not how they go together. `names.json` holds the stocks, and the form of each kind of name.
"""

import json
import random
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

Gender = Literal["male", "female"]

_DATA = json.loads(files("hp_bench.miniature").joinpath("names.json").read_text(encoding="utf-8"))

_STOCKS: dict[str, list[str]] = {name: parts.split() for name, parts in _DATA["stocks"].items()}

_WHOLE = {
    word
    for stock in ("male", "female", "last", "hedge", "street", "alley", "crossing", "thing", "owner")
    for part in _STOCKS[stock]
    for word in (part, f"{part}'s")
}


@dataclass(frozen=True)
class Person:
    """Somebody with a given and a family name; the gender decides the pronoun."""

    first: str
    last: str
    gender: Gender

    def __str__(self) -> str:
        return f"{self.first} {self.last}"


def person(rng: random.Random, gender: Gender | None = None) -> Person:
    """Somebody drawn at random."""
    genders: tuple[Gender, ...] = ("male", "female")
    chosen = rng.choice(genders) if gender is None else gender
    first = _drawn(rng, f"{{{chosen}}}" if rng.random() < 0.5 else f"{{{chosen}_stem}}{{{chosen}_ending}}")
    kind = rng.random()
    last = "{last}" if kind < 0.25 else "{short_stem}{short_ending}" if kind < 0.4 else "{last_stem}{last_ending}"
    return Person(first, _drawn(rng, last), chosen)


def thing(rng: random.Random, kind: str) -> str:
    """The name of a thing of one of the kinds to which `names.json` gives a form."""
    return _drawn(rng, _DATA["forms"][kind])


def built_words(name: str) -> set[str]:
    """The words of a name that are made of parts: those that no other world may use. "Ron Weasley" has one, "Weasley"."""
    return set(name.split()) - _WHOLE


def _drawn(rng: random.Random, form: str) -> str:
    """A form whose stocks, "{stem}", are replaced by one part of each."""
    return re.sub(r"\{(\w+)\}", lambda stock: rng.choice(_STOCKS[stock[1]]), form)
