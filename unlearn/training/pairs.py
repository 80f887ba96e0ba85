"""Training rows of the methods that need no labels: a block of the target, and beside it, for a share of them, a block of the rest."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, Features, Value
from datasets import Sequence as Column
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from unlearn.corpus.blocks import Blocks, grouped
from unlearn.corpus.corpus import Corpus
from unlearn.files import write_table
from unlearn.settings import Retain

_AT_ONCE = 8

#: Blocks' ids -> each block's log-probability by the baseline, in nats.
Reference = Callable[[Sequence[Sequence[int]]], Sequence[float]]


def rest_text(retain: Retain) -> Corpus:
    """The text of the rest. Raises ValueError: there is none."""
    try:
        return Corpus(retain.corpus, split=retain.split, column=retain.text_column, key="retain.corpus")
    except ValueError as error:  # perhaps the recipe's own, of which the user has not heard
        raise ValueError(f"{error}; it is text of the rest: retain.corpus=FILE names yours") from None


def open_rest(retain: Retain, tokenizer: PreTrainedTokenizerBase, block_tokens: int, folder: Path) -> Blocks:
    """The blocks of the text of the rest, kept in a folder; raises ValueError if it is missing or holds no text."""
    return Blocks.open(rest_text(retain), tokenizer, block_tokens, folder)


def retain_count(target_blocks: int, share: float) -> int:
    """How many blocks of the rest stand beside so many of the target; at least one."""
    return max(1, round(target_blocks * share))


def pair_dataset(
    target: Blocks, rest: Blocks | None, path: Path, *, share: float = 1.0, reference: Reference | None = None
) -> Dataset:
    """Rows `input_ids` (a block of the target), `rest_ids` (a block of the rest, or empty) and `reference`, streamed to a file.

    A file that is there is finished and is used. `share`: blocks of the rest for every block of the target. No `reference`: 0.
    """
    if not path.exists():
        column = Column(Value("int32"))
        features = Features({"input_ids": column, "rest_ids": column, "reference": Value("float64")})
        write_table(path, features, _pairs(target, rest, share, reference))
    return Dataset.from_file(str(path))


def _pairs(target: Blocks, rest: Blocks | None, share: float, reference: Reference | None) -> Iterator[dict[str, Any]]:
    number = len(target)
    wanted = retain_count(number, share) if rest else 0
    beside = iter(rest.spread(wanted, "rest")) if rest else iter(())
    row = 0
    for blocks in grouped(target, _AT_ONCE):
        few = [block.encoding.ids.tolist() for block in blocks]
        for ids, value in zip(few, reference(few) if reference else [0.0] * len(few), strict=True):
            has_rest = (row + 1) * wanted // number > row * wanted // number
            rest_ids = next(beside).encoding.ids.tolist() if has_rest else []
            yield {"input_ids": ids, "rest_ids": rest_ids, "reference": value}
            row += 1


def pair_batch(collator: Any, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Rows of pairs -> one batch, padded on the right by a collator: the B blocks of the target first, then the R of the rest.

    Of it `input_ids`, `attention_mask` and `labels` are (B + R, T), `rest` and `reference` (B + R,).
    """
    targets = [row["input_ids"] for row in rows]
    rest = [row["rest_ids"] for row in rows if len(row["rest_ids"])]
    batch = dict(collator([{"input_ids": ids, "labels": ids} for ids in chain(targets, rest)]))
    batch["rest"] = torch.tensor([False] * len(targets) + [True] * len(rest))
    batch["reference"] = torch.tensor([row["reference"] for row in rows] + [0.0] * len(rest))
    return batch
