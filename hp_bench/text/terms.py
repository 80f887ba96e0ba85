"""The terms that give a familiar model away, and finding them in text.

A lexicon file (`prompts/lexicon.jsonl`) holds one term a line. *Idiosyncratic* terms are the target's own names and inventions;
*thematic* ones are merely typical of its theme. Forms that are ordinary words or ordinary names as well ("Harry", "charm") are marked
ambiguous: alone they prove nothing.
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from ahocorasick_rs import AhoCorasick
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from hp_bench.text.records import read_rows

Scope = Literal["idiosyncratic", "thematic"]

# Thai, kana, Han and Hangul (which parts words, but hangs particles on them), and the signs inside their names.
_UNPARTED = re.compile("[\u0e00-\u0e7f\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u00b7\u30fb]")

_ASCII_WORDS = re.compile("[0-9a-z]+")

#: White space other than single blanks.
_UNEVEN = re.compile(r"\s\s|[^\S ]")


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Term:
    """One thing of the target's world, under all the names it goes by.

    Attributes:
        term: the canonical form.
        type: person, creature, group, place, spell, potion, object, event, sport, title, ... (free; used for slices).
        scope: `idiosyncratic` (the target's own) or `thematic` (typical of its theme).
        variants: further forms that mean the same thing, plurals among them.
        ambiguous: those of the forms that prove nothing alone.
        leading: whether it is one of the few people whom a scene of the target is about, so that the first name alone will do there.
        details: sets of words that together describe it without a name, one set a string: "goblet name spat|threw|came" holds where a
            passage of a few words has `goblet`, `name` and one of the three; `scar*` is any word that begins so.
    """

    term: str
    type: str
    scope: Scope
    variants: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()
    leading: bool = False
    details: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if stray := sorted(set(self.ambiguous) - set(self.forms)):
            raise ValueError(f"ambiguous forms {stray} are neither the term {self.term!r} nor one of its variants")

    @property
    def forms(self) -> tuple[str, ...]:
        """The canonical form and its variants."""
        return (self.term, *self.variants)


@dataclass(frozen=True)
class Occurrence:
    """A whole-word occurrence of a form in a text; `text[start:end]` is how it stands there."""

    term: Term
    form: str
    start: int
    end: int

    @property
    def ambiguous(self) -> bool:
        """Whether this form proves nothing alone."""
        return self.form in self.term.ambiguous


class Lexicon:
    """Terms, and their occurrences in text; no form may belong to two of them.

    Matching ignores case, accents and how much white space stands between words, takes whole words only (the neighbours are neither
    letters nor digits) and is linear in the length of the text, however many terms there are.

    Raises ValueError: a form belongs to two terms.
    """

    def __init__(self, terms: Iterable[Term]) -> None:
        self.terms: tuple[Term, ...] = tuple(terms)
        owners: dict[str, tuple[Term, str]] = {}
        for term in self.terms:
            for form in term.forms:
                other = owners.setdefault(_squeeze(form)[0], (term, form))[0]
                if other is not term:
                    raise ValueError(f"form {form!r} belongs to two terms: {other.term!r} and {term.term!r}")
        self._owners = owners
        self._patterns = list(owners)
        self._matcher = AhoCorasick(self._patterns) if self._patterns else None

    @classmethod
    def load(cls, path: Path | str) -> "Lexicon":
        """Reads a lexicon file: JSON lines of the fields of `Term`.

        Raises ValueError: a line is not a term (the message names file and line), or a form belongs to two.
        """
        terms = read_rows(path, Term, "a lexicon term").values()
        try:
            return cls(terms)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def find(self, text: str) -> list[Occurrence]:
        """Whole-word occurrences in reading order, the longest first where several begin at one place; none overlap."""
        return apart(self.find_overlapping(text))

    def find_overlapping(self, text: str) -> list[Occurrence]:
        """Every whole-word occurrence, those inside a longer one as well, sorted by start, the longest first."""
        if self._matcher is None:
            return []
        squeezed, positions = _squeeze(text)
        found = [
            Occurrence(*self._owners[self._patterns[index]], positions[start], positions[end])
            for index, start, end in self._matcher.find_matches_as_indexes(squeezed, overlapping=True)
            if is_whole_word(squeezed, start, end)
        ]
        return sorted(found, key=lambda occurrence: (occurrence.start, -occurrence.end))

    @property
    def words(self) -> set[str]:
        """Folded words of all forms."""
        return {word for term in self.terms for form in term.forms for word in words(form)}

    def owner(self, form: str) -> Term | None:
        """The term that a form belongs to, ignoring case and accents."""
        entry = self._owners.get(_squeeze(form)[0])
        return entry[0] if entry else None


def apart(occurrences: Iterable[Occurrence]) -> list[Occurrence]:
    """Of occurrences sorted by start, those that no earlier one overlaps."""
    kept: list[Occurrence] = []
    for occurrence in occurrences:
        if not kept or occurrence.start >= kept[-1].end:
            kept.append(occurrence)
    return kept


def words(text: str) -> list[str]:
    """Folded words of a text: runs of letters and digits."""
    if text.isascii():  # the same, ten times as fast
        return _ASCII_WORDS.findall(text.lower())
    return "".join(c if c.isalnum() else " " for c in _squeeze(text)[0]).split()


def is_whole_word(text: str, start: int, end: int) -> bool:
    """Whether `text[start:end]` has no letter or digit as its neighbour; an underscore may be emphasis, as in _Hogwarts_.

    In scripts that part no words, a passage of at least two characters may stand anywhere.
    """
    before = start > 0 and text[start - 1].isalnum()
    after = end < len(text) and text[end].isalnum()
    return (not before and not after) or (end - start > 1 and all(map(_UNPARTED.match, text[start:end])))


def _squeeze(text: str) -> tuple[str, list[int]]:
    """Folded text without accents that are characters of their own, white space runs as one space; and where each character was.

    The positions have one entry more than the characters: the text's length.
    """
    if text.isascii() and not _UNEVEN.search(text):  # nothing to be left out
        return fold(text), list(range(len(text) + 1))
    squeezed: list[str] = []
    positions: list[int] = []
    for position, character in enumerate(fold(text)):
        if unicodedata.combining(character):
            continue
        if character.isspace():
            if squeezed and squeezed[-1] == " ":
                continue
            character = " "
        squeezed.append(character)
        positions.append(position)
    return "".join(squeezed), [*positions, len(text)]


def fold(text: str) -> str:
    """Text without case, accents and typographic variants, character by character: positions stay what they were."""
    return text.translate(_FOLDED)


class _Folded(dict[int, str]):
    """Code point -> one folded character, worked out on first use."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        base, *marks = list(unicodedata.normalize("NFKD", character))
        if any(not unicodedata.combining(mark) for mark in marks):
            base = character  # a ligature or a fraction: its first part alone would be something else
        folded = base.lower()
        self[code] = folded if len(folded) == 1 else base
        return self[code]


_FOLDED = _Folded(
    {ord(c): "'" for c in "\u2018\u2019\u02bc\u00b4`"}
    | {ord(c): '"' for c in "\u201c\u201d\u201e"}
    | {ord(c): "-" for c in "\u2010\u2011\u2012\u2013\u2014"}
)
