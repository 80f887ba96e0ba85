"""Files of ours -> typed rows; whatever is wrong with one, the message names file and line in one sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from hp_bench.text.records import read_records

_Row = TypeVar("_Row")


def read_rows(path: Path | str, kind: Callable[..., _Row], what: str) -> list[_Row]:
    """Every row's fields given to `kind`.

    Args:
        path: as of `read_records`; blank lines do not count.
        kind: dataclass of the fields.
        what: what a row should be, for the message: "a probe".

    Raises:
        ValueError: the file cannot be read, or a row is something else.
    """
    return list(read_rows_by_place(path, kind, what).values())


def read_rows_by_place(path: Path | str, kind: Callable[..., _Row], what: str) -> dict[str, _Row]:
    """As `read_rows`: "line 5", or "entry 5" of a JSON list -> its row."""
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
    """The several lines of a pydantic error as one."""
    if not isinstance(error, ValidationError):
        return str(error)
    parts = [(".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")) for one in error.errors()]
    return "; ".join(": ".join(filter(None, both)) for both in parts)
