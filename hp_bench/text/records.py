"""Tables as people have them, JSON lines, a JSON list or CSV -> records. What is wrong with one costs that one alone.

Files of ours -> typed rows; whatever is wrong with one, the message names file and line in one sentence.
"""

import codecs
import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

_Row = TypeVar("_Row")

_JSON = json.JSONDecoder(strict=False)  # a tab inside a text is no reason to lose it

_BETWEEN = re.compile(r"[\s,\[\]]*")  # entries of a JSON list
_NEXT = re.compile(r"\}\s*,?\s*(?=\{)")  # where another one begins after a broken one

_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # what `surrogateescape` makes of such a byte

#: Ends of the names of tables that are no text.
_TABLES = (".parquet", ".arrow", ".feather", ".xlsx", ".xls", ".ods", ".gz", ".zip")


@dataclass(frozen=True)
class Record:
    """A row of a table.

    Attributes:
        place: for messages: "line 5", where it begins, or "entry 5" of a JSON list.
        fields: by name; empty cells of a CSV file have none. None if the row cannot be read.
        problem: why not, then; "" otherwise, and of a blank line.
    """

    place: str
    fields: dict[str, Any] | None
    problem: str = ""

    @property
    def blank(self) -> bool:
        """Whether it is a blank line, and no row."""
        return self.fields is None and not self.problem


def read_records(path: Path | str) -> list[Record]:
    """A table's rows in their order, the broken ones and the blank lines between them, too.

    A file that begins with `[` is a JSON list; one named .csv or .tsv has a line of names, and commas, semicolons or tabs between the
    cells; any other holds one JSON object a line. UTF-8, or UTF-16 that says so in its first two bytes.

    Raises ValueError: the file cannot be read.
    """
    path = Path(path)
    if path.suffix.lower() in _TABLES:
        raise ValueError(f"{str(path)!r} is a table of another kind ({path.suffix}): save it as CSV or as JSON lines")
    try:
        text = _decoded(path.read_bytes()).rstrip()
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    start = text.lstrip()[:1]
    if not start:
        return []
    if start == "[":
        return list(_entries(text))
    if start != "{" and path.suffix.lower() in (".csv", ".tsv"):
        return list(_csv_rows(text.split("\n")))
    return [_line(f"line {number}", line.strip()) for number, line in enumerate(text.split("\n"), 1)]


def _decoded(content: bytes) -> str:
    """Text with plain line ends, by its byte order mark; a byte that is not UTF-8 becomes a lone surrogate."""
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16", "replace") if wide else content.decode("utf-8-sig", "surrogateescape")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _line(place: str, line: str) -> Record:
    if not line:
        return Record(place, None)
    try:
        return _record(place, _JSON.decode(line.rstrip(",")), line)
    except (ValueError, RecursionError):
        return _record(place, None, line)


def _record(place: str, value: Any, text: str) -> Record:
    if _NOT_UTF8.search(text):
        return Record(place, None, "not UTF-8 text")
    if not isinstance(value, dict):
        return Record(place, None, f"not a JSON object: {text[:60]!r}")
    return Record(place, value)


def _entries(text: str) -> Iterator[Record]:
    """Of a JSON list; after a broken one it goes on where the next seems to begin."""
    number, at = 0, 0
    while (at := _end(_BETWEEN.match(text, at))) < len(text):
        number += 1
        try:
            value, end = _JSON.raw_decode(text, at)
        except (ValueError, RecursionError):
            value, end = None, _end(_NEXT.search(text, at)) or len(text)
        yield _record(f"entry {number}", value, text[at:end])
        at = end


def _end(found: re.Match[str] | None) -> int:
    return found.end() if found else 0


def _csv_rows(lines: list[str]) -> Iterator[Record]:
    """After a row with a wrong quotation mark, which may take all that follows for one cell, it goes on in the line after its first."""
    names: list[str] | None = None
    delimiter = max(",;\t", key=next(filter(str.strip, lines)).count)
    done = 0
    while done < len(lines):
        reader = csv.reader(islice((f"{line}\n" for line in lines), done, None), delimiter=delimiter, strict=True)
        before = done
        try:
            for cells in reader:
                place, done = f"line {done + 1}", before + reader.line_num
                if names is None and cells:
                    names = [cell.strip() for cell in cells]
                else:
                    yield _csv_row(place, names or [], cells)
        except csv.Error as error:
            done += 1
            yield Record(f"line {done}", None, f"not CSV: {error}")


def _csv_row(place: str, names: list[str], cells: list[str]) -> Record:
    if not any(map(str.strip, cells)):
        return Record(place, None)
    if _NOT_UTF8.search("".join(cells)):
        return Record(place, None, "not UTF-8 text")
    if len(cells) > len(names):
        return Record(place, None, f"{len(cells)} cells under {len(names)} names")
    return Record(place, {name: cell for name, cell in zip(names, cells, strict=False) if cell})


def read_rows(path: Path | str, kind: Callable[..., _Row], what: str) -> dict[str, _Row]:
    """Every row's fields given to `kind`, by its place: "line 5", or "entry 5" of a JSON list; blank lines do not count.

    Raises ValueError: the file cannot be read, or a row is something else than `what`, such as "a probe".
    """
    rows: dict[str, _Row] = {}
    for record in read_records(path):
        if record.blank:
            continue
        if record.fields is None:
            raise ValueError(f"{path}, {record.place}: {record.problem}")
        try:
            rows[record.place] = kind(**record.fields)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}, {record.place}: not {what}: {_reason(error)}") from None
    return rows


def _reason(error: Exception) -> str:
    """The several lines of a pydantic error as one: which fields are missing, which are unknown, then what is wrong with the others."""
    if not isinstance(error, ValidationError):
        return str(error)
    fields: dict[str, list[str]] = {"missing": [], "unexpected_keyword_argument": []}
    others = []
    for one in error.errors():
        name, said = ".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")
        if one["type"] in fields:
            fields[one["type"]].append(name)
        else:
            others.append(": ".join(filter(None, (name, said))))
    missing, unknown = (", ".join(names) for names in fields.values())
    return "; ".join([*filter(None, (missing and f"it lacks {missing}", unknown and f"unknown is {unknown}")), *others])
