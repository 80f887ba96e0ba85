"""Unlearn target -> documents -> blocks of source characters."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from unlearn.encoding import Encoding, encode

#: Characters that are tokenised at once to find where blocks end; bounds memory, does not move a cut by more than a word or two.
_PIECE = 200_000


@dataclass(frozen=True)
class Document:
    """A text that is never joined to another.

    Attributes:
        id: stable name within its corpus: file name, `file.jsonl:12`, `train:12`.
        text: the whole of it.
    """

    id: str
    text: str


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


class Corpus:
    """Documents that can be read again and again, one at a time.

    Args:
        source: a text file; a JSON-lines file with a `text` field; a folder of such files; a Hugging Face dataset folder; a hub id,
            `owner/name` or `owner/name:config`; or an iterable of strings or `Document`s.
        split: of a Hugging Face dataset.
        column: of the text, in JSON lines and datasets.

    Raises:
        ValueError: there is no such source.
    """

    def __init__(
        self, source: str | Path | Iterable[str | Document], *, split: str = "train", column: str = "text"
    ) -> None:
        self.name = str(source) if isinstance(source, str | Path) else "texts"
        self._split, self._column = split, column
        self._source: Path | str | list[Document]
        if not isinstance(source, str | Path):
            self._source = [
                item if isinstance(item, Document) else Document(str(number), item)
                for number, item in enumerate(source)
            ]
        elif Path(source).exists():
            self._source = Path(source)
        elif re.fullmatch(r"[\w.-]+/[\w.-]+(:[\w.-]+)?", str(source)) and not Path(source).suffix:
            self._source = str(source)
        else:
            raise ValueError(
                f"corpus {str(source)!r} is neither a file, a folder nor a Hugging Face dataset id (owner/name)"
            )

    def __iter__(self) -> Iterator[Document]:
        """Documents with text in them, always in the same order."""
        if isinstance(self._source, list):
            found: Iterable[Document] = self._source
        elif isinstance(self._source, str):
            found = self._hub(self._source)
        else:
            found = self._path(self._source)
        return (document for document in found if document.text.strip())

    def fingerprint(self) -> str:
        """SHA-256 over ids and texts, hexadecimal."""
        digest = hashlib.sha256()
        for document in self:
            for part in (document.id, document.text):
                data = part.encode("utf-8", "surrogatepass")
                digest.update(f"{len(data)}:".encode() + data)
        return digest.hexdigest()

    def _path(self, path: Path) -> Iterator[Document]:
        if path.is_file():
            yield from self._file(path, path.name)
        elif (path / "dataset_info.json").is_file() or (path / "dataset_dict.json").is_file():
            from datasets import DatasetDict, load_from_disk

            loaded = load_from_disk(str(path))
            yield from self._rows(loaded[self._split] if isinstance(loaded, DatasetDict) else loaded)
        else:
            files = sorted(
                (f for f in path.rglob("*") if f.suffix in (".txt", ".md", ".jsonl")),
                key=lambda f: f.relative_to(path).as_posix(),
            )
            if files:
                for file in files:
                    yield from self._file(file, file.relative_to(path).as_posix())
            else:
                from datasets import load_dataset

                yield from self._rows(load_dataset(str(path), split=self._split, streaming=True))

    def _file(self, path: Path, name: str) -> Iterator[Document]:
        if path.suffix != ".jsonl":
            try:
                yield Document(name, path.read_text(encoding="utf-8"))
            except UnicodeDecodeError as error:
                raise ValueError(f"corpus file {str(path)!r} is not UTF-8 text (byte {error.start})") from None
            return
        import jsonlines

        with jsonlines.open(path) as lines:
            try:
                for number, row in enumerate(lines, 1):
                    yield Document(f"{name}:{number}", self._text(row, f"{path}, line {number}"))
            except jsonlines.InvalidLineError as error:
                raise ValueError(f"{path}, line {error.lineno}: not JSON") from None

    def _hub(self, source: str) -> Iterator[Document]:
        from datasets import load_dataset

        name, _, config = source.partition(":")
        try:
            loaded = load_dataset(name, config or None, split=self._split, streaming=True)
        except Exception as error:
            raise ValueError(
                f"corpus {source!r} is no file or folder here, and could not be loaded from the hub: {error}"
            ) from None
        yield from self._rows(loaded)

    def _rows(self, rows: Iterable[Any]) -> Iterator[Document]:
        for number, row in enumerate(rows):
            yield Document(f"{self._split}:{number}", self._text(row, f"row {number} of {self.name}"))

    def _text(self, row: Any, where: str) -> str:
        if not isinstance(row, dict) or not isinstance(row.get(self._column), str):
            fields = ", ".join(row) if isinstance(row, dict) else type(row).__name__
            raise ValueError(f"{where}: no text in {self._column!r}; there is {fields}")
        return row[self._column]


def blocks(document: Document, tokenizer: PreTrainedTokenizerBase, block_tokens: int) -> Iterator[Block]:
    """A document's blocks, in order; together they hold every character but the white space at the cuts.

    Memory is bounded by a piece of the document, whatever its length.

    Args:
        document: the text.
        tokenizer: fast, as it gives offsets.
        block_tokens: longest fresh encoding of a block, in tokens, special tokens included.
    """
    number = 0
    for spans in _piecewise(document.text, tokenizer, block_tokens):
        pending = list(reversed(spans))
        for encoding, (start, end) in _encoded(document.text, pending, tokenizer, block_tokens):
            yield Block(document.id, number, start, end, document.text[start:end], encoding)
            number += 1


def _piecewise(text: str, tokenizer: PreTrainedTokenizerBase, block_tokens: int) -> Iterator[list[tuple[int, int]]]:
    """Spans that should fit, by the encoding of a long piece; the last span of a piece is left to the next piece."""
    position = _skip_space(text, 0)
    while position < len(text):
        end = _piece_end(text, position)
        spans = _cut(text, position, end, tokenizer, block_tokens)
        if end < len(text) and len(spans) > 1:
            spans.pop()
        yield spans
        position = _skip_space(text, spans[-1][1])


def _piece_end(text: str, start: int) -> int:
    end = start + _PIECE
    if end >= len(text):
        return len(text)
    space = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
    return space if space > start else end


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
        stop = _strip_space(text, position, cut)
        if stop > position:
            spans.append((position, stop))
        position = _skip_space(text, cut)
        first = int(np.searchsorted(ends, position, side="right"))
    return spans or [(start, end)]


def _encoded(
    text: str, pending: list[tuple[int, int]], tokenizer: PreTrainedTokenizerBase, block_tokens: int
) -> Iterator[tuple[Encoding, tuple[int, int]]]:
    """Fresh encodings; a span that does not fit after all is cut again.

    What is cut off moves the start of the next span, which then does not fit either: from there on one span at a time.
    """
    together = 8
    while pending:
        batch = [pending.pop() for _ in range(min(together, len(pending)))]
        encodings = encode(tokenizer, [text[start:end] for start, end in batch])
        for index, (encoding, (start, end)) in enumerate(zip(encodings, batch, strict=True)):
            if len(encoding.ids) <= block_tokens:
                yield encoding, (start, end)
                continue
            too_many = len(encoding.ids) - block_tokens
            ends = encoding.ends[~encoding.special]
            guess = start + int(ends[max(len(ends) - 1 - too_many, 0)])
            cut = _boundary(text, start, min(guess, end - 1), tokenizer, block_tokens)
            rest = [(_skip_space(text, cut), end), *batch[index + 1 :], *reversed(pending)]
            if len(rest) > 1:  # what is left over is no block of its own: it goes before the next one
                rest[:2] = [(rest[0][0], rest[1][1])]
            pending[:] = [*reversed(rest), (start, _strip_space(text, start, cut))]
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


def _strip_space(text: str, start: int, end: int) -> int:
    while end > start and text[end - 1].isspace():
        end -= 1
    return end


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position
