"""Traces that are no name: a detail that only the target has, told in ordinary words; and a near miss of what a prompt asks for."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

from wordfreq import zipf_frequency

from hp_bench.text.spellings import edits
from hp_bench.text.terms import Term, fold, words

#: Words among which all words of a detail must stand.
WINDOW = 18

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")

_TOO_COMMON = 5.0  # Zipf frequency from which a word of a reference is no clue: "the", "house"


@dataclass(frozen=True)
class Clue:
    """A passage and the term or reference it hints at."""

    term: str
    start: int
    end: int


@dataclass(frozen=True)
class _Detail:
    """The parts of a detail, each a number in the index; the last one is the answer if `fact`."""

    term: str
    parts: tuple[int, ...]
    fact: bool


class Details:
    """Finds the details of terms (`Term.details`)."""

    def __init__(self, terms: Iterable[Term]) -> None:
        self._numbers: dict[str, int] = {}
        self._whole: dict[str, set[int]] = defaultdict(set)
        self._begun: dict[str, set[int]] = defaultdict(set)
        self._details = [
            _Detail(term.term, tuple(self._part(part.removeprefix("=")) for part in detail.split()), "=" in detail)
            for term in terms
            for detail in term.details
        ]
        self._lengths = sorted({len(start) for start in self._begun})

    def _part(self, part: str) -> int:
        number = self._numbers.setdefault(part, len(self._numbers))
        for choice in fold(part).split("|"):
            (self._begun[choice[:-1]] if choice.endswith("*") else self._whole[choice]).add(number)
        return number

    def _parts_of(self, word: str) -> set[int]:
        found = set(self._whole.get(word, ()))
        for length in self._lengths:
            if length <= len(word):
                found |= self._begun.get(word[:length], set())
        return found

    def find(self, prompt: str, completion: str) -> Iterator[Clue]:
        """Details told by the completion.

        At least two of their parts, and half of them, must be news: no word for them stands in the prompt. Where a part is marked `=`, it
        alone must be news; the others may stand in prompt and completion alike, anywhere: "vault =713".
        """
        if not self._details:
            return
        told = set(words(prompt))
        hinted = {number for word in told for number in self._parts_of(word)}
        said = [(fold(match[0]), match.start(), match.end()) for match in _WORD.finditer(completion)]
        places: dict[int, list[int]] = defaultdict(list)
        news: set[int] = set()
        for place, (word, _, _) in enumerate(said):
            for number in self._parts_of(word):
                places[number].append(place)
                if word not in told and number not in hinted:
                    news.add(number)
        for detail in self._details:
            span = _told(detail, places, hinted, news)
            if span is not None:
                yield Clue(detail.term, said[span[0]][1], said[span[1]][2])


def _told(detail: _Detail, places: Mapping[int, list[int]], hinted: Set[int], news: Set[int]) -> tuple[int, int] | None:
    """First and last word of the passage that tells a detail."""
    if detail.fact:
        *cues, answer = detail.parts
        if answer in news and answer not in hinted and all(cue in hinted or cue in places for cue in cues):
            return places[answer][0], places[answer][0]
        return None
    fresh = sum(part in news for part in detail.parts)
    if fresh < 2 or fresh * 2 < len(detail.parts) or not all(part in places for part in detail.parts):
        return None
    return _narrowest([places[part] for part in detail.parts])


def near_misses(prompt: str, completion: str, references: Iterable[str]) -> Iterator[Clue]:
    """Names in the completion that are part of a reference ("Tom" of "Tom Riddle"), short for one ("Ted"), or like one ("Victor")."""
    told = set(words(prompt))
    wanted = {
        word: reference
        for reference in references
        for part in _WORD.findall(reference)
        if part[0].isupper()
        and len(word := fold(part)) >= 3
        and word not in told
        and zipf_frequency(word, "en") < _TOO_COMMON
    }
    for match in _WORD.finditer(completion):
        if not match[0][0].isupper():
            continue
        said = fold(match[0]).removesuffix("'s")
        if len(said) < 3 or said in told:
            continue
        close = next((word for word in wanted if _is_like(said, word)), None)
        if close is not None:
            yield Clue(wanted[close], match.start(), match.start() + len(said))


def _is_like(said: str, wanted: str) -> bool:
    if said == wanted or (wanted.startswith(said) and len(wanted) - len(said) <= 3):
        return True
    return min(len(said), len(wanted)) >= 5 and said[0] == wanted[0] and edits(said, wanted, 1) <= 1


def _narrowest(places: list[list[int]]) -> tuple[int, int] | None:
    """The first window of `WINDOW` words that holds a different word from each list."""
    for first in sorted({place for options in places for place in options}):
        window = [[p for p in options if first <= p < first + WINDOW] for options in places]
        if all(window):
            chosen = [options[0] for options in window]
            if len(set(chosen)) == len(chosen):
                return min(chosen), max(chosen)
    return None
