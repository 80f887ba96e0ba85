"""Names of the target in labels: a model that never read it begins no name of it that the text has not held yet (`forbid_names`)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from unlearn.anchors.dictionary import AnchorDictionary
from unlearn.corpus.blocks import Block
from unlearn.corpus.encoding import Encoding
from unlearn.labels.rule_two import Changes, first_tokens
from unlearn.labels.translate import Replacement


@dataclass(frozen=True)
class BlockNames:
    """What a block's labels may not say.

    Attributes:
        held_from: for every forbidden id the source position from which it is allowed, since a name that it begins has been read, (K,).
        own: for every source position the next token if it belongs to the first mention of a name, else -1, (T,).
    """

    held_from: NDArray[np.int64]
    own: NDArray[np.int64]


class TargetNames:
    """Tokens that begin a name of the target (an anchor), and in its text, read once, begin names at least as often as anything else."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, anchors: AnchorDictionary, blocks: Iterable[Block]) -> None:
        names = [anchor.anchor for anchor in anchors.anchors]
        self._firsts = {name: [i for i in ids if i is not None] for name, ids in first_tokens(tokenizer, names).items()}
        begins, others = Counter[int](), Counter[int]()
        for block in blocks:
            encoding, outside = block.encoding, ~block.encoding.special
            for match in anchors.find(block.text):
                inside = (encoding.ends > match.start) & (encoding.starts < match.end) & ~encoding.special
                begins.update(encoding.ids[inside][:1].tolist())
                outside &= ~inside
            others.update(encoding.ids[outside].tolist())
        every = sorted({token for ids in self._firsts.values() for token in ids})
        self.ids = np.array([token for token in every if begins[token] >= others[token]], dtype=np.int64)
        self._place = {token: place for place, token in enumerate(self.ids.tolist())}

    def of(self, encoding: Encoding, replacements: Sequence[Replacement]) -> BlockNames:
        """Of a source block, whose anchors are those that were replaced."""
        length = len(encoding.ids)
        held_from, own = np.full(len(self.ids), length, dtype=np.int64), np.full(length, -1, dtype=np.int64)
        seen = set[str]()
        for match in (replacement.match for replacement in replacements):
            if match.anchor.anchor in seen:
                continue
            seen.add(match.anchor.anchor)
            tokens = np.flatnonzero((encoding.ends > match.start) & (encoding.starts < match.end) & ~encoding.special)
            own[tokens[tokens > 0] - 1] = encoding.ids[tokens[tokens > 0]]
            if len(tokens):
                for place in (self._place[i] for i in self._firsts[match.anchor.anchor] if i in self._place):
                    held_from[place] = min(held_from[place], tokens[-1])
        return BlockNames(held_from, own)

    def at(self, batch: Iterable[tuple[NDArray[np.int64], BlockNames]]) -> Changes:
        """What is forbidden at the kept source positions of blocks."""
        entries, offset = list[tuple[int, int, int, int]](), 0
        for kept, names in batch:
            ends = offset + np.searchsorted(kept, names.held_from, side="left")
            entries += [(offset, end, token, -1) for end, token in zip(ends.tolist(), self.ids.tolist(), strict=True)]
            own = enumerate(names.own[kept].tolist(), offset)
            entries += [(row, row + 1, token, -1) for row, token in own if token >= 0]
            offset += len(kept)
        return Changes.of(entries)
