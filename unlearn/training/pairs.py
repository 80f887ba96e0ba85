"""Training rows of the methods that need no labels: a block of the target, and beside it, for a share of them, a block of the rest."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, Features, Value
from datasets import Sequence as Column
from datasets.arrow_writer import ArrowWriter
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from unlearn.corpus.blocks import Block, blocks, token_counts
from unlearn.corpus.corpus import Corpus
from unlearn.files import whole_file
from unlearn.recipe import Retain

IGNORED = -100

_AT_ONCE = 8

#: Blocks' ids -> each block's log-probability by the baseline, in nats.
Reference = Callable[[Sequence[Sequence[int]]], Sequence[float]]


@dataclass(frozen=True)
class Rest:
    """Text of the rest.

    Attributes:
        corpus: its text.
        share: blocks of it for every block of the target.
        blocks: how many it has.
        fingerprint: of the corpus.
    """

    corpus: Corpus
    share: float
    blocks: int
    fingerprint: str

    @classmethod
    def open(cls, retain: Retain, tokenizer: PreTrainedTokenizerBase, block_tokens: int) -> "Rest":
        """Loads and checks the corpus; raises ValueError if it is missing or holds no text."""
        corpus = Corpus(retain.corpus, split=retain.split, column=retain.text_column)
        _, number = token_counts(corpus, tokenizer, block_tokens)
        if number == 0:
            raise ValueError(f"retain.corpus {retain.corpus!r} holds no text")
        return cls(corpus, retain.share, number, corpus.fingerprint())

    def inputs(self) -> dict[str, Any]:
        """Plain values for a stage's fingerprint."""
        return {"corpus": self.fingerprint, "share": self.share}

    def chosen(self, wanted: int, tokenizer: PreTrainedTokenizerBase, block_tokens: int) -> Iterator[Block]:
        """`wanted` blocks: spread evenly over the corpus, or all of it over and over where it is short."""
        passes = (
            (n, block) for _ in repeat(None) for n, block in enumerate(_stream(self.corpus, tokenizer, block_tokens))
        )
        if wanted >= self.blocks:
            yield from (block for _, block in islice(passes, wanted))
            return
        for n, block in islice(passes, self.blocks):
            if (n + 1) * wanted // self.blocks > n * wanted // self.blocks:
                yield block


def retain_count(target_blocks: int, share: float) -> int:
    """How many blocks of the rest stand beside so many of the target; at least one."""
    return max(1, round(target_blocks * share))


def pair_dataset(
    target: Corpus,
    rest: Rest | None,
    tokenizer: PreTrainedTokenizerBase,
    path: Path,
    *,
    block_tokens: int,
    reference: Reference | None = None,
) -> Dataset:
    """Rows `input_ids` (a block of the target), `rest_ids` (a block of the rest, or empty) and `reference`, streamed to a file.

    Args:
        target: the unlearn target.
        rest: text of the rest.
        tokenizer: of the model.
        path: of the file; one that is there is finished and is used.
        block_tokens: longest block, in tokens.
        reference: gives the baseline's log-probability of each block of the target; None: 0.
    """
    if not path.exists():
        number = sum(1 for _ in _stream(target, tokenizer, block_tokens))
        wanted = retain_count(number, rest.share) if rest else 0
        beside = rest.chosen(wanted, tokenizer, block_tokens) if rest else iter(())
        column = Column(Value("int32"))
        features = Features({"input_ids": column, "rest_ids": column, "reference": Value("float64")})
        stream = _stream(target, tokenizer, block_tokens)
        with whole_file(path) as temporary, ArrowWriter(path=str(temporary), features=features) as writer:
            row = 0
            while few := [block.encoding.ids.tolist() for block in islice(stream, _AT_ONCE)]:
                known = reference(few) if reference else [0.0] * len(few)
                for ids, value in zip(few, known, strict=True):
                    has_rest = (row + 1) * wanted // number > row * wanted // number
                    rest_ids = next(beside).encoding.ids.tolist() if has_rest else []
                    writer.write({"input_ids": ids, "rest_ids": rest_ids, "reference": value})
                    row += 1
            writer.finalize()
    return Dataset.from_file(str(path))


class PairCollator:
    """Rows of pairs -> one batch: the B blocks of the target first, then the R of the rest.

    Args:
        collator: pads `input_ids` and `labels`.
    """

    def __init__(self, collator: Any) -> None:
        self._collator = collator

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        """`input_ids`, `attention_mask`, `labels` (B + R, T), padded on the right; `rest` and `reference` (B + R,)."""
        targets = [row["input_ids"] for row in rows]
        rest = [row["rest_ids"] for row in rows if len(row["rest_ids"])]
        batch = dict(self._collator([{"input_ids": ids, "labels": ids} for ids in chain(targets, rest)]))
        batch["rest"] = torch.tensor([False] * len(targets) + [True] * len(rest))
        batch["reference"] = torch.tensor(
            [row["reference"] for row in rows] + [0.0] * len(rest),
        )
        return batch


def _stream(corpus: Corpus, tokenizer: PreTrainedTokenizerBase, block_tokens: int) -> Iterator[Block]:
    return (block for document in corpus for block in blocks(document, tokenizer, block_tokens))
