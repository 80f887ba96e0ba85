"""How often tokens occur in a corpus."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
from transformers import PreTrainedTokenizerBase

from unlearn.anchors import AnchorDictionary
from unlearn.corpus import Document, blocks


def token_counts(
    corpus: Iterable[Document],
    tokenizer: PreTrainedTokenizerBase,
    block_tokens: int,
    *,
    outside: AnchorDictionary | None = None,
) -> tuple[Counter[int], int]:
    """How often each token id occurs in the blocks of a corpus, special tokens left out; and how many blocks there are.

    Args:
        corpus: the documents.
        tokenizer: of the model.
        block_tokens: longest block.
        outside: anchors; tokens that overlap one are not counted.
    """
    counts, number = np.zeros(len(tokenizer) + 1, dtype=np.int64), 0
    for document in corpus:
        for block in blocks(document, tokenizer, block_tokens):
            counted = ~block.encoding.special
            for match in outside.find(block.text) if outside is not None else ():
                counted &= (block.encoding.ends <= match.start) | (block.encoding.starts >= match.end)
            ids = block.encoding.ids[counted]
            if ids.size and ids.max() >= counts.size:
                counts = np.pad(counts, (0, int(ids.max()) + 1 - counts.size))
            counts += np.bincount(ids, minlength=counts.size)
            number += 1
    return Counter({int(token): int(counts[token]) for token in counts.nonzero()[0]}), number


def frequent_tokens(counts: Counter[int], count: int = 100) -> frozenset[int]:
    """The `count` most frequent token ids, ties to the lowest id."""
    return frozenset(sorted(counts, key=lambda token: (-counts[token], token))[:count])
