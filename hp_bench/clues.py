"""Traces that are no name: a detail that only the target has, told in ordinary words; and a near miss of what a prompt asks for."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wordfreq import zipf_frequency

from hp_bench.lexicon import Term, fold, words
from hp_bench.spellings import edits

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


class Details:
    """Finds the details of a lexicon's terms."""

    def __init__(self, terms: Iterable[Term]) -> None:
        self._sets: list[tuple[str, tuple[re.Pattern[str], ...]]] = [
            (term.term, tuple(_pattern(part) for part in detail.split())) for term in terms for detail in term.details
        ]

    def find(self, prompt: str, completion: str) -> Iterator[Clue]:
        """Details told by the completion: at least two of their words, and half of them, must be news after the prompt."""
        if not self._sets:
            return
        told = set(words(prompt))
        said = [(fold(match[0]), match.start(), match.end()) for match in _WORD.finditer(completion)]
        places: dict[str, list[int]] = defaultdict(list)
        for place, (word, _, _) in enumerate(said):
            places[word].append(place)
        hits: dict[re.Pattern[str], list[int]] = {}
        for term, patterns in self._sets:
            found: list[list[int]] = []
            for pattern in patterns:
                if pattern not in hits:
                    hits[pattern] = sorted(p for word, at in places.items() if pattern.fullmatch(word) for p in at)
                if not hits[pattern]:
                    break
                found.append(hits[pattern])
            else:
                news = sum(not any(pattern.fullmatch(word) for word in told) for pattern in patterns)
                span = _narrowest(found) if news >= 2 and news * 2 >= len(patterns) else None
                if span is not None:
                    yield Clue(term, said[span[0]][1], said[span[1]][2])


def near_misses(prompt: str, completion: str, references: Iterable[str]) -> Iterator[Clue]:
    """Names in the completion that are part of a reference ("Tom" of "Tom Riddle"), short for one ("Ted"), or like one ("Victor")."""
    told = set(words(prompt))
    wanted = {
        word: reference
        for reference in references
        for part in _WORD.findall(reference)
        if part[0].isupper() and len(word := fold(part)) >= 3 and word not in told and zipf_frequency(word, "en") < _TOO_COMMON
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


def _pattern(part: str) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(fold(choice)).replace(r"\*", r"\w*") for choice in part.split("|")))


def _narrowest(places: list[list[int]]) -> tuple[int, int] | None:
    """The first window of `WINDOW` words that holds a different word from each list."""
    for first in sorted({place for options in places for place in options}):
        window = [[p for p in options if first <= p < first + WINDOW] for options in places]
        if all(window):
            chosen = [options[0] for options in window]
            if len(set(chosen)) == len(chosen):
                return min(chosen), max(chosen)
    return None
