"""Unlearn target -> documents -> blocks of source characters."""

import hashlib
import re
import reprlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unlearn.corpus.books import NOT_READ, READ, read_book, require_once, require_readable
from unlearn.exits import first_line
from unlearn.files import json_lines

#: Of shorter texts too few prompts can be drafted: of the first 2,500 words of a novel 2, of 5,000 19, of 10,000 47, of all 26,000 203. Of
#: 19 prompts none of which is answered, familiarity may still be .88; of 47, .38 (docs/your-own-book.md).
FEWEST_WORDS = 10_000


@dataclass(frozen=True)
class Document:
    """A text that is never joined to another; `id`: its stable name within its corpus: file name, `file.jsonl:12`, `train:12`."""

    id: str
    text: str


class Corpus:
    """Documents that can be read again and again, one at a time.

    Args:
        source: a text, EPUB or HTML file; a JSON-lines file with a `text` field; a folder of such files; a Hugging Face dataset
            folder; a hub id, `owner/name` or `owner/name:config`; or an iterable of strings or `Document`s.
        split: of a Hugging Face dataset.
        column: of the text, in JSON lines and datasets.
        key: what a user names it by, for messages.

    Raises ValueError: there is no such source.
    """

    def __init__(
        self, source: str | Path | Iterable[str | Document], *, split: str = "train", column: str = "text", key: str = "corpus"
    ) -> None:  # fmt: skip
        self._key = key
        self.name = str(source) if isinstance(source, str | Path) else "texts"
        self._split, self._column = split, column
        self._source: Path | str | list[Document]
        if not isinstance(source, str | Path):
            self._source = [t if isinstance(t, Document) else Document(str(n), t) for n, t in enumerate(source)]
        elif Path(source).exists():
            self._source = Path(source)
        elif re.fullmatch(r"[\w.-]+/[\w.-]+(:[\w.-]+)?", str(source)) and not Path(source).suffix:
            self._source = str(source)
        else:
            raise ValueError(
                f"{key} {str(source)!r} is neither a file, a folder nor a Hugging Face dataset id (owner/name)"
            )

    def __iter__(self) -> Iterator[Document]:
        """Documents with text in them, always in the same order."""
        source: Any = self._source
        if not isinstance(source, list):
            source = self._hub(source) if isinstance(source, str) else self._path(source)
        return (document for document in source if document.text.strip())

    def require_text(self) -> None:
        """Raises ValueError if there is none, or if a folder holds one book as two kinds of file, so that it would count twice."""
        if next(iter(self), None) is None:
            raise ValueError(f"{self._key} {self.name!r} holds no text")
        if isinstance(self._source, Path) and self._source.is_dir():
            require_once(self._source)

    def warnings(self) -> list[str]:
        """Sentences: on books in the folder of a kind that is not read; on so little text that it can hardly be asked about."""
        folder = self._source if isinstance(self._source, Path) and self._source.is_dir() else None
        unread = sorted(file.name for file in folder.rglob("*") if file.suffix.lower() in NOT_READ) if folder else []
        said = [f"not read of {self.name!r}: {', '.join(unread)}; make text of them (.txt)"] if unread else []
        if (count := sum(len(document.text.split()) for document in self)) < FEWEST_WORDS:
            how = "hardly enough to ask about: a novel's first 5,000 gave 19 prompts, its first 10,000 gave 47"
            said.append(f"{self._key} {self.name!r} holds {count:,} words, {how}")
        return said

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
            files = {
                f.relative_to(path).as_posix(): f for f in path.rglob("*") if f.suffix.lower() in READ and f.is_file()
            }
            for name in sorted(files):
                yield from self._file(files[name], name)
            if not files:
                yield from self._folder(path)

    def _folder(self, path: Path) -> Iterator[Document]:
        """Of a folder without text: of a data set in another form, if it is one."""
        from datasets import load_dataset

        for file in sorted(path.rglob("*")):
            require_readable(file)
        try:
            yield from self._rows(load_dataset(str(path), split=self._split, streaming=True))
        except ValueError:
            raise
        except Exception as error:  # datasets' own errors have no common type
            raise ValueError(
                f"{self._key} {str(path)!r} holds no text ({', '.join(READ)}), and is no data set: {first_line(error)}"
            ) from None

    def _file(self, path: Path, name: str) -> Iterator[Document]:
        if path.suffix.lower() != ".jsonl":
            yield Document(name, read_book(path))
            return
        for number, row in json_lines(path):
            yield Document(f"{name}:{number}", self._text(row, f"{path}, line {number}"))

    def _hub(self, source: str) -> Iterator[Document]:
        from datasets import load_dataset

        name, _, config = source.partition(":")
        try:
            loaded = load_dataset(name, config or None, split=self._split, streaming=True)
        except Exception as error:
            raise ValueError(
                f"{self._key} {source!r} is no file or folder here, and could not be loaded from the hub: {error}"
            ) from None
        yield from self._rows(loaded)

    def _rows(self, rows: Iterable[Any]) -> Iterator[Document]:
        for number, row in enumerate(rows):
            yield Document(f"{self._split}:{number}", self._text(row, f"row {number} of {self.name}"))

    def _text(self, row: Any, where: str) -> str:
        if not isinstance(row, dict) or not isinstance(row.get(self._column), str):
            fields = ", ".join(row) if isinstance(row, dict) else type(row).__name__
            held = (
                f"; it holds {reprlib.repr(row[self._column])}" if isinstance(row, dict) and self._column in row else ""
            )
            raise ValueError(f"{where}: no text in {self._column!r}{held}; there is {fields}")
        return row[self._column]
