"""Documents -> blocks of source characters whose fresh encoding, with character offsets, fits the block length; kept on disk."""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features, Value
from datasets import Sequence as Column
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from unlearn.corpus.corpus import Corpus, Document
from unlearn.files import write_table
from unlearn.models import processes

Item = TypeVar("Item")

#: Characters that are tokenised at once to find where blocks end; bounds memory, does not move a cut by more than a word or two.
_PIECE = 200_000


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

    def overlapping(self, start: int, end: int) -> NDArray[np.bool_]:
        """Which tokens, special ones left out, hold some of the characters from `start` up to `end`, (T,)."""
        return (self.ends > start) & (self.starts < end) & ~self.special


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


@dataclass(frozen=True)
class Block:
    """Consecutive characters of a document whose fresh encoding fits the block length.

    Attributes:
        document: the document's id.
        number: of the block in its document, from 0.
        start: first character in the document.
        end: one past the last.
        text: `document.text[start:end]`.
        encoding: its fresh encoding, special tokens included.
    """

    document: str
    number: int
    start: int
    end: int
    text: str
    encoding: Encoding


def blocks(document: Document, tokenizer: PreTrainedTokenizerBase, block_tokens: int) -> Iterator[Block]:
    """A document's blocks, in order; together they hold every character but the white space at the cuts.

    Memory is bounded by a piece of the document, whatever its length. `block_tokens`: longest fresh encoding of a block, in tokens,
    special tokens included.
    """
    number = 0
    for spans in _piecewise(document.text, tokenizer, block_tokens):
        for encoding, (start, end) in _encoded(document.text, spans, tokenizer, block_tokens):
            yield Block(document.id, number, start, end, document.text[start:end], encoding)
            number += 1


def _piecewise(text: str, tokenizer: PreTrainedTokenizerBase, block_tokens: int) -> Iterator[list[tuple[int, int]]]:
    """Spans that should fit, by the encoding of a long piece; the last span of a piece is left to the next piece."""
    position = _skip_space(text, 0)
    while position < len(text):
        end = min(position + _PIECE, len(text))
        if end < len(text):
            space = max(text.rfind(" ", position, end), text.rfind("\n", position, end))
            end = space if space > position else end
        spans = _cut(text, position, end, tokenizer, block_tokens)
        if end < len(text) and len(spans) > 1:
            spans.pop()
        yield spans
        position = _skip_space(text, spans[-1][1])


def _cut(
    text: str, start: int, end: int, tokenizer: PreTrainedTokenizerBase, block_tokens: int
) -> list[tuple[int, int]]:
    """Cuts `text[start:end]` between words every `block_tokens` tokens of its own encoding."""
    room = block_tokens - tokenizer.num_special_tokens_to_add()
    if room < 1:
        raise ValueError(f"block_tokens={block_tokens} leaves no room for text beside the tokenizer's special tokens")
    piece = encode(tokenizer, [text[start:end]])[0]
    ends = piece.ends[~piece.special] + start
    spans, position, first = [], start, 0
    while position < end:
        fits = len(ends) - first <= room
        cut = end if fits else _boundary(text, position, int(ends[first + room - 1]), tokenizer, block_tokens)
        stop = position + len(text[position:cut].rstrip())
        if stop > position:
            spans.append((position, stop))
        position = _skip_space(text, cut)
        first = int(np.searchsorted(ends, position, side="right"))
    return spans or [(start, end)]


def _encoded(
    text: str, spans: list[tuple[int, int]], tokenizer: PreTrainedTokenizerBase, block_tokens: int
) -> Iterator[tuple[Encoding, tuple[int, int]]]:
    """Fresh encodings; a span that does not fit after all is cut again.

    What is cut off moves the start of the next span, which then does not fit either: from there on one span at a time.
    """
    together = 8
    while spans:
        batch, spans = spans[:together], spans[together:]
        encodings = encode(tokenizer, [text[start:end] for start, end in batch])
        for index, (encoding, (start, end)) in enumerate(zip(encodings, batch, strict=True)):
            if len(encoding.ids) <= block_tokens:
                yield encoding, (start, end)
                continue
            too_many = len(encoding.ids) - block_tokens
            ends = encoding.ends[~encoding.special]
            guess = start + int(ends[max(len(ends) - 1 - too_many, 0)])
            cut = _boundary(text, start, min(guess, end - 1), tokenizer, block_tokens)
            rest = [(_skip_space(text, cut), end), *batch[index + 1 :], *spans]
            if len(rest) > 1:  # what is left over is no block of its own: it goes before the next one
                rest[:2] = [(rest[0][0], rest[1][1])]
            spans = [(start, start + len(text[start:cut].rstrip())), *rest]
            together = 1
            break


def _boundary(text: str, start: int, guess: int, tokenizer: PreTrainedTokenizerBase, block_tokens: int) -> int:
    """Where to cut: the last place between words in (start, guess]; else behind the first word, if that fits; else inside it."""
    guess = max(guess, start + 1)
    cut = guess
    while cut > start and not (cut >= len(text) or text[cut].isspace() or text[cut - 1].isspace()):
        cut -= 1
    if cut > start:
        return cut
    word = guess
    while word < len(text) and not text[word].isspace() and word - start <= 64 * block_tokens:
        word += 1
    return word if len(encode(tokenizer, [text[start:word]])[0].ids) <= block_tokens else guess


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


_ARRAYS = {"ids": np.int64, "starts": np.int64, "ends": np.int64, "special": np.bool_}
_PLACE = {"document": "string", "number": "int64", "start": "int64", "end": "int64", "text": "string"}
_COLUMNS = Features(
    {name: Value(kind) for name, kind in _PLACE.items()}
    | {name: Column(Value("bool" if name == "special" else "int32")) for name in _ARRAYS}
)


@dataclass(frozen=True)
class Blocks:
    """The blocks of a corpus, tokenised once: memory-mapped, read one at a time, again and again.

    Attributes:
        rows: one a block.
        corpus_fingerprint: of the corpus that they were cut from.
        document: they pass for whole documents, `document:0`, `document:1`, ...; "": for what they were cut as.
        folder: a temporary one, which is there as long as they are.
    """

    rows: Dataset
    corpus_fingerprint: str
    document: str = ""
    folder: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def open(
        cls, corpus: Corpus, tokenizer: PreTrainedTokenizerBase, block_tokens: int, folder: Path | None = None
    ) -> "Blocks":
        """Reads what is known of the corpus, or cuts it; of several processes the first one does.

        `block_tokens`: longest block, special tokens included. `folder`: where they stay, in a file named by all that decides them; None:
        nowhere, each process cuts its own. Raises ValueError: the corpus holds no text, or no text fits a block.
        """
        corpus.require_text()
        fingerprint = corpus.fingerprint()
        if folder is None:
            passing = tempfile.TemporaryDirectory(prefix="unlearn-blocks-")
            path = Path(passing.name) / "blocks.arrow"
            _cut_to_file(corpus, tokenizer, block_tokens, path)
            return cls(Dataset.from_file(str(path)), fingerprint, folder=passing)
        name = hashlib.sha256(json.dumps([fingerprint, _identity(tokenizer), block_tokens]).encode()).hexdigest()[:16]
        path = folder / f"{name}.arrow"
        if processes().is_main_process and not path.exists():
            _cut_to_file(corpus, tokenizer, block_tokens, path)
        processes().wait_for_everyone()
        return cls(Dataset.from_file(str(path)), fingerprint)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Block]:
        for number, row in enumerate(self.rows):
            encoding = Encoding(**{name: np.array(row.pop(name), dtype=kind) for name, kind in _ARRAYS.items()})
            block = Block(**row, encoding=encoding)
            if self.document:
                name = f"{self.document}:{number}"
                block = replace(block, document=name, number=0, start=0, end=len(block.text))
            yield block

    def tokens(self) -> int:
        """Tokens in all blocks, special tokens left out."""
        return sum(row["special"].count(False) for row in self.rows.select_columns("special"))

    def spread(self, count: int, document: str) -> "Blocks":
        """So many of them, taken evenly from all, or all over and over where that is more; as documents of their own."""
        size = len(self)
        even = (n for n in range(size) if (n + 1) * count // size > n * count // size)
        indices = list(even) if count < size else [n % size for n in range(count)]
        return replace(self, rows=self.rows.select(indices, keep_in_memory=True), document=document)

    def for_training(self) -> Dataset:
        """`input_ids` and `labels` for language modelling: every token but the first is a target."""
        ids = self.rows.data.table["ids"]
        both = Dataset(pa.table({"input_ids": ids, "labels": ids}))
        chosen = self.rows._indices
        return both if chosen is None else both.select(chosen.column(0).to_pylist(), keep_in_memory=True)


def _cut_to_file(corpus: Corpus, tokenizer: PreTrainedTokenizerBase, block_tokens: int, path: Path) -> None:
    cut = (block for document in corpus for block in blocks(document, tokenizer, block_tokens))
    write_table(path, _COLUMNS, ({name: getattr(b, name) for name in _PLACE} | vars(b.encoding) for b in cut))


def _identity(tokenizer: PreTrainedTokenizerBase) -> Any:
    """All that decides an encoding; padding and truncation, which calls set and ours do without, left out."""
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    return {**content, "padding": None, "truncation": None}


def grouped(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """So many at a time, the last ones fewer: always the same in the same group, whoever works on it."""
    iterator = iter(items)
    while group := list(islice(iterator, size)):
        yield group
