"""Files of ours -> typed rows; whatever is wrong with one, the message names file and line in one sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from hp_bench.text.records import read_records

_Row = TypeVar("_Row")


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
