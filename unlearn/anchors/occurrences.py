"""Where terms stand in a corpus: how often, after and before which words, and a few contexts to show."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from unlearn.anchors.dictionary import Anchor, AnchorDictionary
from unlearn.anchors.english import ADVERBS, DETERMINERS
from unlearn.anchors.tally import Token, tokens
from unlearn.corpus.corpus import Document

#: Contexts kept of a term.
CONTEXTS: Final = 3

#: Characters of a context to each side.
_REACH = 40

#: Words to each side within which a cue counts as near.
_NEAR = 7

#: Characters after a name within which a pronoun is taken to mean it.
_PRONOUN_REACH = 80

#: Characters looked at together, at least.
_PIECE = 100_000
#: No objects, no possessives ("Tobias stared at her").
_PRONOUN = re.compile(r"\b(he|himself|she|herself|hers)\b", re.IGNORECASE)


@dataclass
class Occurrences:
    """What stands around the occurrences of a term; whole words, leftmost, then longest.

    Attributes:
        count: occurrences.
        before: the word before, in lower case; "" where a sentence or clause begins.
        governor: the first word before that is no article, possessive or number ("in" of "in the old", no adjectives skipped).
        after: the word after, "" where punctuation follows; adverbs in -ly and the like skipped.
        near: words of its sentence, at most seven to each side, in lower case.
        male: how often the next pronoun is he.
        female: how often it is she.
        possessive: how often 's follows.
        contexts: the first few, on one line.
    """

    count: int = 0
    before: Counter[str] = field(default_factory=Counter)
    governor: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    near: Counter[str] = field(default_factory=Counter)
    male: int = 0
    female: int = 0
    possessive: int = 0
    contexts: list[str] = field(default_factory=list)


def occurrences(corpus: Iterable[Document], terms: Iterable[str]) -> dict[str, Occurrences]:
    """Finds every term, case-sensitive, in a corpus, a document at a time; terms that never stand alone have a count of 0."""
    found = {term: Occurrences() for term in terms}
    matcher = AnchorDictionary(tuple(Anchor(term, ()) for term in found))
    for document in corpus:
        for piece in _pieces(document.text):
            _see(piece, matcher, found)
    return found


def _context(text: str, start: int, end: int) -> str:
    """A term with some words around it, on one line."""
    left, right = text[max(start - _REACH, 0) : start], text[end : end + _REACH]
    if start > _REACH:
        left = "…" + left.partition(" ")[2]
    if end + _REACH < len(text):
        right = right.rpartition(" ")[0] + "…"
    return " ".join((left + text[start:end] + right).split())


def _pieces(text: str) -> Iterator[str]:
    """A long document cut between paragraphs, so that memory does not grow with it."""
    start = 0
    while start < len(text):
        cut = text.find("\n\n", start + _PIECE)
        end = len(text) if cut < 0 else cut + 2
        yield text[start:end]
        start = end


def _see(text: str, matcher: AnchorDictionary, found: dict[str, Occurrences]) -> None:
    matches = matcher.find(text)
    if not matches:
        return
    words, first = list(tokens(text)), 0
    for number, match in enumerate(matches):
        while first < len(words) and words[first].start < match.start:
            first += 1
        last = first
        while last < len(words) and words[last].start < match.end:
            last += 1
        entry = found[match.anchor.anchor]
        entry.count += 1
        if len(entry.contexts) < CONTEXTS:
            entry.contexts.append(_context(text, match.start, match.end))
        if first < len(words) and words[first].heading:
            continue
        entry.possessive += text[match.end : match.end + 2] in ("'s", "’s")
        _left(text, words, first, entry)
        _right(text, words, last, match.end, entry)
        entry.near.update(_same_sentence(words, first, last))
        stop = matches[number + 1].start if number + 1 < len(matches) else len(text)
        pronoun = _PRONOUN.search(text, match.end, min(stop, match.end + _PRONOUN_REACH))
        if pronoun:
            male = pronoun[0][0] in "hH" and pronoun[0].lower() not in ("hers", "herself")
            entry.male += male
            entry.female += not male


def _same_sentence(words: list[Token], first: int, last: int) -> Iterator[str]:
    for index in range(first - 1, max(first - _NEAR, 0) - 1, -1):
        if words[index + 1].opens:
            break
        yield words[index].text.lower()
    for word in words[last : last + _NEAR]:
        if word.opens:
            break
        yield word.text.lower()


def _left(text: str, words: list[Token], first: int, entry: Occurrences) -> None:
    index, end = first - 1, words[first].start if first < len(words) else len(text)
    seen = governor = ""
    if index >= 0 and not (first < len(words) and words[first].opens) and _adjacent(text[words[index].end : end]):
        seen = governor = words[index].text.lower()
        while governor in DETERMINERS:
            index -= 1
            if index < 0 or words[index + 1].opens or not _adjacent(text[words[index].end : words[index + 1].start]):
                governor = ""
                break
            governor = words[index].text.lower()
    entry.before[seen] += 1
    entry.governor[governor] += 1


def _right(text: str, words: list[Token], index: int, end: int, entry: Occurrences) -> None:
    after = ""
    while index < len(words) and _adjacent(text[end : words[index].start]):
        after = words[index].text.lower()
        if not (after.endswith("ly") or after in ADVERBS):
            break
        end, index = words[index].end, index + 1
    entry.after[after] += 1


def _adjacent(gap: str) -> bool:
    return gap.isspace() and "\n\n" not in gap
