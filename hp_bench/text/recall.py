"""How much of a text another one repeats, nearly word for word."""

import re
from difflib import SequenceMatcher
from typing import NamedTuple

#: Words that a block has at least, those that differ not counted: shorter ones two texts of one kind share by chance.
LEAST = 8

#: Words that may be other, missing or added between two parts of one block.
GAP = 2


class Recall(NamedTuple):
    """What is repeated: the share of the text's words that stand in blocks, 0 to 1, and the words of the longest block."""

    share: float
    longest: int


def recall(text: str, said: str) -> Recall:
    """Blocks of a text that another one repeats in the text's order; words are compared without case and marks.

    Source: near-verbatim recall, arXiv:2601.02671; the matching is difflib's.
    """
    ours, theirs = _words(text), _words(said)
    blocks: list[int] = []
    end_ours = end_theirs = -GAP - 1
    for at, other, size in SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()[:-1]:
        if max(at - end_ours, other - end_theirs) <= GAP:
            blocks[-1] += size
        else:
            blocks.append(size)
        end_ours, end_theirs = at + size, other + size
    long = [size for size in blocks if size >= LEAST]
    return Recall(sum(long) / len(ours) if ours else 0.0, max(long, default=0))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
