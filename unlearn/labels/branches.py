"""Positions inside an anchor, which no position of the translated block corresponds to: what is read for them instead.

After "He was led by Albus Dumble" a model that never read the target knows neither name nor man. In the translated block there is no such
place, since another name stands there. So the anchor's own first tokens are read behind the translated text before it: a branch, which
only itself sees. All branches of a block are read in one pass beside it, by a mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:  # a bare machine has no ahocorasick_rs: `python -m benchmarks gpu`
    from unlearn.corpus.blocks import Encoding
    from unlearn.labels.translate import Replacement


@dataclass(frozen=True)
class Branches:
    """Tokens read beside a translated block.

    Attributes:
        ids: token ids, (M,).
        parents: what each stands behind, (M,): a position of the translated block, or its length plus the index of another branch token.
        prefixes: the position of the translated block that each branch began behind, (M,).
        sources: the source position that ends with each token, (M,), rising.
    """

    ids: NDArray[np.int64]
    parents: NDArray[np.int64]
    prefixes: NDArray[np.int64]
    sources: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def longest(self) -> int:
        """Tokens that are read for the deepest of them, the translated block's before it included; 0 without a branch."""
        depth, longest = 0, 0
        for parent, prefix in zip(self.parents.tolist(), self.prefixes.tolist(), strict=True):
            depth = 1 if parent == prefix else depth + 1
            longest = max(longest, prefix + 1 + depth)
        return longest


def find_branches(
    encoding: Encoding, translated: Encoding, replacements: Sequence[Replacement], mapping: NDArray[np.int64],
    straddling: NDArray[np.bool_], left_out: NDArray[np.bool_],
) -> Branches:  # fmt: skip
    """The branches of a block: for every anchor its tokens up to the last but those that end it.

    Args:
        mapping: of positions, (T,), -1 where there is none.
        straddling: source tokens that an anchor's edge cuts, (T,); an anchor whose first token is one has no branch.
        left_out: positions that get no label, (T,); an anchor of such positions alone has no branch.
    """
    tokens: list[tuple[int, int, int, int]] = []  # as the fields of `Branches`
    ends, length = encoding.ends, len(translated.ids)
    for replacement in replacements:
        first = int(np.searchsorted(ends, replacement.match.start, side="right"))
        last = int(np.searchsorted(ends, replacement.match.end, side="left"))
        inside = np.arange(first, min(last, len(ends) - 1))  # the last token of a block predicts nothing in it
        if first == 0 or mapping[first - 1] < 0 or straddling[first:last].any() or left_out[inside].all():
            continue  # of nothing `all` is true
        parent = prefix = int(mapping[first - 1])
        for position in inside.tolist():
            tokens.append((int(encoding.ids[position]), parent, prefix, position))
            parent = length + len(tokens) - 1
    return Branches(*np.array(tokens, dtype=np.int64).reshape(-1, 4).T.copy())


def tree(lengths: Sequence[int], branches: Sequence[Branches], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """How a batch of blocks, of so many tokens each, is read, with the branches of each behind its own tokens.

    Returns:
        A mask to add to attention scores, (B, 1, T, T): 0 where the token of a row may see that of a column, else the least number of the
        type; and position ids, (B, T). What pads sees itself alone.
    """
    longest = max(n + len(b) for n, b in zip(lengths, branches, strict=True))
    seen = torch.eye(longest, dtype=torch.bool).repeat(len(lengths), 1, 1)
    positions = torch.zeros(len(lengths), longest, dtype=torch.long)
    for row, (length, found) in enumerate(zip(lengths, branches, strict=True)):
        seen[row, :length, :length] = torch.ones(length, length, dtype=torch.bool).tril()
        positions[row, :length] = torch.arange(length)
        for index, parent in enumerate(found.parents.tolist()):
            token = length + index
            seen[row, token] |= seen[row, parent]
            positions[row, token] = positions[row, parent] + 1
    mask = torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, torch.finfo(dtype).min)
    return mask[:, None], positions


def paths(ids: NDArray[np.int64], branches: Branches) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Each branch as a sequence of its own, for models that take no such mask: its tokens from the block's first on, and its indices."""
    begins = np.flatnonzero(branches.parents < len(ids)).tolist()
    for begin, end in pairwise([*begins, len(branches)]):
        own = np.arange(begin, end)
        yield np.concatenate([ids[: branches.prefixes[begin] + 1], branches.ids[own]]), own
