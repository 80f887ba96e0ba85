"""Generic translations from word lists: the same kind of thing in the same form, drawn by a stable hash."""

import hashlib
import re
import string
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from unlearn.anchors.english import word_lists

#: What a form's template may name, e.g. "Captain {surname}".
WORD_LISTS: Final = word_lists(Path(__file__).with_suffix(".toml"))

Style = Literal["", "plural", "capital", "capital plural", "upper"]

#: Translations of an anchor. Blocks draw one each, so that the model meets several; more would reuse the lists sooner.
TRANSLATIONS: Final = 4


@dataclass(frozen=True)
class Form:
    """One way the text writes an entity.

    Attributes:
        text: the anchor.
        template: what stands in its place, with names of `WORD_LISTS` in braces.
        style: how the listed words are bent.
    """

    text: str
    template: str
    style: Style = ""

    @property
    def lists(self) -> tuple[str, ...]:
        """Names of the word lists that the template draws on."""
        return tuple(name for _, name, _, _ in string.Formatter().parse(self.template) if name)


@dataclass(frozen=True)
class Entity:
    """What one or several anchors name.

    Attributes:
        key: a name for it; the text of its main form.
        type: one of `unlearn.anchors.types.TYPES`.
        forms: the anchors, main form first.
        sound: "vowel" or "consonant" where the text says "an" or "a" before it.
    """

    key: str
    type: str
    forms: tuple[Form, ...]
    sound: Literal["", "vowel", "consonant"] = ""


def generic_translations(entities: Iterable[Entity], *, seed: int, avoid: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Translations of every form; forms of one entity agree index by index.

    Words are drawn in the order of a hash of seed, entity and word, the least used of a list first, so that the first entities share
    nothing; no two entities draw the same set from a list. `entities`: those that matter most first; `avoid`: words of the target, which
    must not come back, in any case.
    """
    drawn = Draw(seed, {word.lower() for word in avoid})
    made: dict[str, tuple[str, ...]] = {}
    for entity in entities:
        lists = dict.fromkeys(name for form in entity.forms for name in form.lists)
        picks = {name: drawn.pick(entity, name) for name in lists}
        for form in entity.forms:
            words = [{name: picks[name][index] for name in form.lists} for index in range(TRANSLATIONS)]
            made[form.text] = tuple(bent(form, named) for named in words)
    return made


class Draw:
    """What has been drawn so far."""

    def __init__(self, seed: int, avoid: Collection[str]) -> None:
        self._seed = seed
        self._words = {name: [w for w in words if w.lower() not in avoid] for name, words in WORD_LISTS.items()}
        self._uses: dict[str, Counter[str]] = {name: Counter() for name in WORD_LISTS}
        self._sets: dict[str, set[frozenset[str]]] = {name: set() for name in WORD_LISTS}

    def candidates(self, entity: Entity, most: int) -> list[dict[str, str]]:
        """So many translations, as a word of each list that the entity's forms draw on; no two hold the same word of the longest list."""
        lists = dict.fromkeys(name for form in entity.forms for name in form.lists)
        words = {
            name: sorted(self._fitting(entity, name), key=lambda w: self._hash(entity.key, w, 0)) for name in lists
        }
        number = min(max(map(len, words.values())), most)
        return [{name: listed[n % len(listed)] for name, listed in words.items()} for n in range(number)]

    def _fitting(self, entity: Entity, name: str) -> Sequence[str]:
        """The words of a list that are none of the target's and fit the entity's article and plural."""
        words = self._words[name]
        if entity.sound:
            fitting = [word for word in words if (word[0].lower() in "aeiou") == (entity.sound == "vowel")]
            words = fitting if len(fitting) >= TRANSLATIONS else words
        if any("plural" in form.style and name in form.lists for form in entity.forms):
            easy = [word for word in words if not word.endswith(("s", "x", "z", "ch", "sh"))]  # no "Brookses"
            words = easy if len(easy) >= TRANSLATIONS else words
        if len(words) < TRANSLATIONS:  # a target that uses nearly all of a list: better a word of its own than none
            words = list(WORD_LISTS[name])
        return words

    def pick(self, entity: Entity, name: str) -> Sequence[str]:
        """The least used, in the order of their hashes."""
        words = self._fitting(entity, name)
        uses, sets = self._uses[name], self._sets[name]
        chosen: Sequence[str] = ()
        for attempt in range(200):
            # Beside the least used words come others, when all sets of those are taken.
            order = {w: (max(uses[w] - attempt // 4, 0), self._hash(entity.key, w, attempt)) for w in words}
            chosen = sorted(words, key=order.__getitem__)[:TRANSLATIONS]
            if frozenset(chosen) not in sets:
                break
        sets.add(frozenset(chosen))
        uses.update(chosen)
        return chosen

    def _hash(self, key: str, word: str, attempt: int) -> bytes:
        return hashlib.sha256(f"{self._seed}\x1f{key}\x1f{word}\x1f{attempt}".encode("utf-8", "surrogatepass")).digest()


def bent(form: Form, words: Mapping[str, str]) -> str:
    """What stands in a form's place, given a word of each of its lists."""
    text = form.template.format(**words)
    if "plural" in form.style:
        head, space, last = text.rpartition(" ")
        text = head + space + plural(last)
    if "capital" in form.style:
        text = re.sub(r"(^|(?<= ))(?!of\b)[a-z]", lambda match: match[0].upper(), text)
    return text.upper() if form.style == "upper" else text


def plural(noun: str) -> str:
    """The regular plural."""
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    if noun.endswith("fe"):
        return noun[:-2] + "ves"
    return noun + "s"
