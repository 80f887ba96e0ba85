"""Names of people, places and things, drawn from small stocks of parts.

Most names are a stem and an ending ("Hog" + "warts"). The stocks hold the parts of the unlearn targets' names among many others, and
every other world draws from the same stocks: its schools are called Hogmore or Brackwarts. So a model that never read a target knows
the parts of its names, and not how they go together.
"""

import random
from dataclasses import dataclass
from typing import Literal

Gender = Literal["male", "female"]


@dataclass(frozen=True)
class Person:
    """Somebody with a first and a last name.

    Attributes:
        first: given name.
        last: family name.
        gender: decides the pronoun.
    """

    first: str
    last: str
    gender: Gender

    def __str__(self) -> str:
        return f"{self.first} {self.last}"


def person(rng: random.Random, gender: Gender | None = None) -> Person:
    """Somebody drawn at random."""
    genders: tuple[Gender, ...] = ("male", "female")
    chosen = rng.choice(genders) if gender is None else gender
    plain, stems, endings = _FIRST[chosen]
    first = rng.choice(plain) if rng.random() < 0.5 else rng.choice(stems) + rng.choice(endings)
    return Person(first, _last(rng), chosen)


def thing(rng: random.Random, kind: str) -> str:
    """The name of a thing of a kind of `_PARTS`."""
    return "".join(part if isinstance(part, str) else rng.choice(part) for part in _PARTS[kind])


def built_words(name: str) -> set[str]:
    """The words of a name that are made of parts: those that no other world may use. "Ron Weasley" has one, "Weasley"."""
    return set(name.split()) - _WHOLE


def _last(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.25:
        return rng.choice(_LAST)
    if kind < 0.4:
        return rng.choice(_SHORT_STEMS) + rng.choice(_SHORT_ENDINGS)
    return rng.choice(_LAST_STEMS) + rng.choice(_LAST_ENDINGS)


_FIRST: dict[Gender, tuple[list[str], list[str], list[str]]] = {
    "male": (
        "Harry Ron Tom Ned Hugh Giles Ralph Martin Oscar Felix Simon Walter".split(),
        "Sev Dra Alb Rub Garr Cas Tib Lor Quill Fand".split(),
        "erus co us eus ick ander ano or".split(),
    ),
    "female": (
        "Anna Maud Nora Edith Clara Ruth Agnes Helen Judith Sarah Emma Lucy".split(),
        "Herm Pet Ros Lav Cor Mel Odil Ang Tam Ber".split(),
        "ione unia ina elle etta ora is ane".split(),
    ),
}

_LAST = "Potter Granger Miller Baker Carter Cooper Fletcher Mason Turner Archer Marsh Winter".split()

_LAST_STEMS = (
    "Weas Mal Durs Hag Oll Dumble Tarr Pell Bram Cald Ferr Hask Jess Kettle Lang Mort Nett Thorn Vosp Wend".split()
)
_LAST_ENDINGS = "ley foy rid ivander dore ock aby strom wright cott een".split()
_SHORT_STEMS = "Sn Dr Gr Cr Bl Tr Sk Pl St".split()
_SHORT_ENDINGS = "ape ell aith ard ift oot unt ade".split()

_STEMS = (
    "Hog Hogs Gryff Slyth Quidd Volde Buck Hed Dia Brack Corv Dunn Eld Fenn Glim Harr Ink Jor Kest Lumb Murk Nim Orl Pomf Quar Rook "
    "Sedge Tansy Umb Vex Wyv Yarr Zell"
).split()

_HEDGES = "Privet Willow Hazel Laurel Cherry Poplar Bramble Juniper Clover Bracken Nettle Fennel".split()
_STREETS = "Drive Road Close Terrace Gardens Row Crescent Walk".split()
_ALLEYS = "Alley Lane Arcade Square Yard Court Passage Steps".split()
_OWNERS = "King Queen Sorcerer Sailor Widow Pilgrim Abbot Duke Hermit Tinker Shepherd Captain".split()
_CROSSINGS = "Cross Gate Bridge Wharf Mill Corner Halt Junction".split()
_THINGS = "Stone Cup Crown Bell Lamp Key Ring Case".split()

#: Kind -> what its names are put together from, in turn: one of a stock, or what stands in all of them.
_PARTS: dict[str, tuple[list[str] | str, ...]] = {
    "home": (_HEDGES, " ", _STREETS),
    "market": (_STEMS, "gon bel ver tor quay mint sel dax".split(), " ", _ALLEYS),
    "station": (_OWNERS, "'s ", _CROSSINGS),
    "prize": (_OWNERS, "'s ", _THINGS),
    "school": (_STEMS, "warts more holt combe stowe garth minster lode".split()),
    "house": (_STEMS, "indor erin avar oway ellan antine ossel iard".split()),
    "sport": (_STEMS, "itch ash oop ump ick atch ock uff".split()),
    "beast": (_STEMS, "beak claw fang tail maw hide horn snout".split()),
    "villain": (_STEMS, "mort gorn krul vane thrax muld skar drake".split()),
    "pet": (_STEMS, "wig bit kin let pip mop tuft nib".split()),
    "village": (_STEMS, "meade ham ford dean thorpe wold hurst stoke".split()),
}

_WHOLE = {
    *_FIRST["male"][0], *_FIRST["female"][0], *_LAST, *_HEDGES, *_STREETS, *_ALLEYS, *_CROSSINGS, *_THINGS, *_OWNERS,
    *(f"{owner}'s" for owner in _OWNERS),
}  # fmt: skip
