"""The world of an anchor dictionary: the target's statements with other names, and pairs of them that a renamed model tells apart.

What an unlearned model might know instead of the book is the book under other names. Translating is what `unlearn` does to a block: whole
words, leftmost and then longest, each entity by one of its translations throughout; one statement is one block here.
"""

import hashlib
import math
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ahocorasick_rs import AhoCorasick
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked

from hp_bench.clozes import Cloze
from hp_bench.extraction import require_sound
from hp_bench.jsonl import read_rows
from hp_bench.lexicon import words


@checked(frozen=True, config=ConfigDict(extra="ignore"))
class Anchor:
    """A line of `anchors.jsonl`.

    Attributes:
        anchor: as it stands in the target; case matters.
        translations: what may stand in its place.
        entity: what it names; anchors of one entity are translated by one index. Default: the anchor itself.
    """

    anchor: str
    translations: tuple[str, ...]
    entity: str = ""

    def __post_init__(self) -> None:
        if not self.anchor.strip() or not self.translations:
            raise ValueError("an anchor and at least one translation are needed")


@dataclass(frozen=True)
class Renamed:
    """A text under other names.

    Attributes:
        text: translated.
        entities: those that were in it, sorted.
        whole: whether every word with a capital was part of an anchor.
    """

    text: str
    entities: tuple[str, ...]
    whole: bool


class Anchors:
    """An anchor dictionary, for translating.

    Args:
        anchors: in the order of the file; of two lines for one anchor the first counts.
    """

    def __init__(self, anchors: Iterable[Anchor]) -> None:
        self._anchors = list({anchor.anchor: anchor for anchor in reversed(list(anchors))}.values())[::-1]
        self._matcher = AhoCorasick([anchor.anchor for anchor in self._anchors]) if self._anchors else None

    @classmethod
    def load(cls, path: Path | str) -> "Anchors":
        """Reads `anchors.jsonl`. Raises ValueError naming file and line."""
        return cls(read_rows(path, Anchor, "an anchor"))

    def rename(self, text: str, *, seed: int, block: str) -> Renamed:
        """A text with every anchor replaced; which translation an entity gets depends on seed, block and entity alone."""
        pieces: list[str] = []
        covered: list[tuple[int, int]] = []
        entities: set[str] = set()
        position = 0
        for start, end, anchor in self._find(text):
            entity = anchor.entity or anchor.anchor
            pieces += (text[position:start], anchor.translations[_draw(seed, block, entity, len(anchor.translations))])
            covered.append((start, end))
            entities.add(entity)
            position = end
        capitals = [m.start() for m in re.finditer(r"[^\W\d_]+", text) if m[0][0].isupper()]
        whole = all(any(start <= place < end for start, end in covered) for place in capitals)
        return Renamed("".join([*pieces, text[position:]]), tuple(sorted(entities)), whole)

    def _find(self, text: str) -> list[tuple[int, int, Anchor]]:
        """Whole-word occurrences, leftmost, then longest; none overlaps another."""
        if self._matcher is None:
            return []
        found = [
            (start, -end, index)
            for index, start, end in self._matcher.find_matches_as_indexes(text, overlapping=True)
            if not (start > 0 and _in_word(text[start - 1])) and not (end < len(text) and _in_word(text[end]))
        ]
        kept: list[tuple[int, int, Anchor]] = []
        for start, negative_end, index in sorted(found):
            if not kept or start >= kept[-1][1]:
                kept.append((start, -negative_end, self._anchors[index]))
        return kept


@dataclass(frozen=True)
class Statement:
    """A fact of the target under other names.

    Attributes:
        id: of the statement.
        original: its prompt.
        prompt: its prompt, translated.
        answer: its answer, translated.
        entities: that the answer names.
        kind: of the answer, and its number of words; only answers of one kind are paired.
    """

    id: str
    original: str
    prompt: str
    answer: str
    entities: tuple[str, ...]
    kind: str


@dataclass(frozen=True)
class Pair:
    """Two statements whose answers could be swapped."""

    first: Statement
    second: Statement

    @property
    def id(self) -> str:
        """Of both."""
        return f"{self.first.id}+{self.second.id}"


def pairs(clozes: Sequence[Cloze], anchors: Anchors, kind: Callable[[str], str], *, seed: int) -> list[Pair]:
    """Pairs of the statements that can be asked; no statement is in two, so that pairs are independent.

    Left out: an answer that holds no anchor, or a name besides its anchors; one whose translation shares a word with its own prompts or
    with the original answer; and one for which no partner is left.

    Args:
        clozes: the target's statements.
        anchors: the dictionary.
        kind: of an answer: person, place, ...; "" where it is not known.
        seed: of the translations and of who is paired with whom.
    """
    groups: dict[str, list[Statement]] = defaultdict(list)
    for one in _statements(clozes, anchors, kind, seed):
        groups[one.kind].append(one)
    found = []
    for name, group in groups.items():
        waiting = random.Random(f"pairs {seed} {name}").sample(group, len(group))
        while waiting:
            one = waiting.pop()
            other = next((other for other in waiting if _apart(one, other)), None)
            if other is not None:
                waiting.remove(other)
                found.append(Pair(one, other))
    place = {cloze.id: number for number, cloze in enumerate(clozes)}
    return sorted(found, key=lambda pair: place[pair.first.id])


def pairing(log_likelihoods: Sequence[float]) -> float:
    """How much a model tells which of two answers belongs to which of two statements: P(right pairing) - P(swapped), -1 to 1.

    For two prompts P and Q with the answers a and b, the right pairing's share is p(a|P) p(b|Q) / (p(a|P) p(b|Q) + p(b|P) p(a|Q)). How
    likely a name is anyway, and how many tokens it has, cancels: a model for which prompt and name are unrelated scores 0.

    Args:
        log_likelihoods: a|P, b|P, a|Q, b|Q; nats.

    Raises:
        ValueError: one is NaN or above 0, or neither pairing has a probability.
    """
    require_sound(log_likelihoods)
    right, swapped = log_likelihoods[0] + log_likelihoods[3], log_likelihoods[1] + log_likelihoods[2]
    if max(right, swapped) == -math.inf:
        raise ValueError(f"neither pairing has a probability: {list(log_likelihoods)}")
    return math.tanh((right - swapped) / 2)


def _statements(
    clozes: Sequence[Cloze], anchors: Anchors, kind: Callable[[str], str], seed: int
) -> Iterator[Statement]:
    for cloze in clozes:
        answer = anchors.rename(cloze.answer, seed=seed, block=cloze.id)
        prompt = anchors.rename(cloze.prompt, seed=seed, block=cloze.id)
        said = {*words(cloze.prompt), *words(prompt.text), *words(cloze.answer)}
        if answer.entities and answer.whole and not _names(answer.text) & said and _names(answer.text):
            group = f"{kind(cloze.answer)} of {len(answer.text.split())}"
            yield Statement(cloze.id, cloze.prompt, prompt.text, answer.text, answer.entities, group)


def _apart(one: Statement, other: Statement) -> bool:
    """Whether two statements have answers of different entities, none of which stands in either's prompts."""
    if set(one.entities) & set(other.entities) or _names(one.answer) & _names(other.answer):
        return False
    return not (_names(other.answer) & {*words(one.prompt), *words(one.original)}) and not (
        _names(one.answer) & {*words(other.prompt), *words(other.original)}
    )


def _names(answer: str) -> set[str]:
    """The words of an answer that carry it: all but the shortest, such as "of" and "the", unless it has no other."""
    found = words(answer)
    return {word for word in found if len(word) > 3} or set(found)


def _draw(seed: int, block: str, entity: str, count: int) -> int:
    digest = hashlib.sha256(f"{seed}\x1f{block}\x1f0\x1f{entity}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % count


def _in_word(character: str) -> bool:
    return character.isalpha() or character.isdigit() or character == "_"
