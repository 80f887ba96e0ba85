"""Fresh encodings with character offsets, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Encoding:
    """A text's tokens, special tokens as the tokenizer adds them.

    Attributes:
        ids: token ids, (T,).
        starts: first character of each token, (T,).
        ends: one past its last, (T,), never falling: a special token at the front ends at 0, one at the back past the text.
        special: which tokens the tokenizer added, (T,).
    """

    ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    special: NDArray[np.bool_]


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[Encoding]:
    """Encodes texts afresh, each for itself. Raises ValueError: the tokenizer fails."""
    if not texts:
        return []
    try:
        read = tokenizer(list(texts), return_attention_mask=False, return_token_type_ids=False, verbose=False)
    except Exception as error:  # tokenizers' own errors have no type
        raise ValueError(
            f"the tokenizer of {tokenizer.name_or_path!r} cannot read the text: {error}; its tokenizer.json is incomplete"
        ) from None
    each = zip(texts, read.encodings or (), strict=True)  # fast tokenizers alone come here
    return [_encoding(len(text), one.ids, one.offsets, one.special_tokens_mask) for text, one in each]


def _encoding(length: int, ids: list[int], offsets: list[tuple[int, int]], special: list[int]) -> Encoding:
    spans = np.fromiter(chain.from_iterable(offsets), dtype=np.int64, count=2 * len(offsets)).reshape(-1, 2)
    mask = np.asarray(special, dtype=bool)
    starts, ends = spans[:, 0].copy(), spans[:, 1].copy()
    real = np.flatnonzero(~mask)
    last = real[-1] if real.size else -1
    behind = mask & (np.arange(len(mask)) > last) & (last >= 0)
    starts[behind] = ends[behind] = length + 1
    front = mask & ~behind
    starts[front] = ends[front] = 0
    return Encoding(np.asarray(ids, dtype=np.int64), starts, np.maximum.accumulate(ends) if ends.size else ends, mask)
