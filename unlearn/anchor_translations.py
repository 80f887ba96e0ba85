"""Generic translations from word lists: the same kind of thing in the same form, drawn by a stable hash."""

import hashlib
import re
import string
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from unlearn import generic_words

Style = Literal["", "plural", "capital", "capital plural", "upper"]

#: What a form's template may name, e.g. "Captain {surname}".
WORD_LISTS: Final[Mapping[str, tuple[str, ...]]] = {
    "female": generic_words.FEMALE,
    "male": generic_words.MALE,
    "surname": generic_words.SURNAME,
    "place": generic_words.PLACE,
    "place_modifier": generic_words.PLACE_MODIFIER,
    "place_noun": generic_words.PLACE_NOUN,
    "group": generic_words.GROUP,
    "group_modifier": generic_words.GROUP_MODIFIER,
    "creature": generic_words.CREATURE,
    "pet": generic_words.PET,
    "object": generic_words.OBJECT,
    "activity": generic_words.ACTIVITY,
    "role": generic_words.ROLE,
    "thing": generic_words.THING,
    "named_thing": generic_words.NAMED_THING,
    "done": generic_words.DONE,
    "doing": generic_words.DOING,
}
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
        type: one of `anchor_types.TYPES`.
        forms: the anchors, main form first.
        sound: "vowel" or "consonant" where the text says "an" or "a" before it.
    """

    key: str
    type: str
    forms: tuple[Form, ...]
    sound: Literal["", "vowel", "consonant"] = ""


def generic_translations(
    entities: Iterable[Entity], *, seed: int, avoid: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Translations of every form; forms of one entity agree index by index.

    Words are drawn in the order of a hash of seed, entity and word, the least used of a list first, so that the first entities share
    nothing; no two entities draw the same set from a list.

    Args:
        entities: those that matter most first.
        seed: of the draw.
        avoid: words of the target that must not come back, in any case.
    """
    drawn = _Draw(seed, {word.lower() for word in avoid})
    made: dict[str, tuple[str, ...]] = {}
    for entity in entities:
        lists = dict.fromkeys(name for form in entity.forms for name in form.lists)
        picks = {name: drawn.pick(entity, name) for name in lists}
        for form in entity.forms:
            options = [
                form.template.format(**{name: picks[name][index] for name in form.lists})
                for index in range(TRANSLATIONS)
            ]
            made[form.text] = tuple(_bent(option, form) for option in options)
    return made


class _Draw:
    """What has been drawn so far."""

    def __init__(self, seed: int, avoid: Collection[str]) -> None:
        self._seed = seed
        self._words = {name: [w for w in words if w.lower() not in avoid] for name, words in WORD_LISTS.items()}
        self._uses: dict[str, Counter[str]] = {name: Counter() for name in WORD_LISTS}
        self._sets: dict[str, set[frozenset[str]]] = {name: set() for name in WORD_LISTS}

    def pick(self, entity: Entity, name: str) -> Sequence[str]:
        words = self._words[name]
        if entity.sound:
            fitting = [word for word in words if (word[0].lower() in "aeiou") == (entity.sound == "vowel")]
            words = fitting if len(fitting) >= TRANSLATIONS else words
        if any("plural" in form.style and name in form.lists for form in entity.forms):
            easy = [word for word in words if not word.endswith(("s", "x", "z", "ch", "sh"))]  # no "Brookses"
            words = easy if len(easy) >= TRANSLATIONS else words
        if len(words) < TRANSLATIONS:  # a target that uses nearly all of a list: better a word of its own than none
            words = list(WORD_LISTS[name])
        uses, sets = self._uses[name], self._sets[name]
        chosen: Sequence[str] = ()
        for attempt in range(200):
            # Beside the least used words come others, when all sets of those are taken.
            chosen = sorted(
                words, key=lambda word: (max(uses[word] - attempt // 4, 0), self._hash(entity.key, word, attempt))
            )
            chosen = chosen[:TRANSLATIONS]
            if frozenset(chosen) not in sets:
                break
        sets.add(frozenset(chosen))
        uses.update(chosen)
        return chosen

    def _hash(self, key: str, word: str, attempt: int) -> bytes:
        return hashlib.sha256(f"{self._seed}\x1f{key}\x1f{word}\x1f{attempt}".encode("utf-8", "surrogatepass")).digest()


def _bent(text: str, form: Form) -> str:
    if "plural" in form.style:
        head, space, last = text.rpartition(" ")
        text = head + space + generic_words.plural(last)
    if "capital" in form.style:
        text = re.sub(r"(^|(?<= ))[a-z]", lambda match: match[0].upper(), text)
    return text.upper() if form.style == "upper" else text
