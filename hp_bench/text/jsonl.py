"""JSON lines -> typed rows; whatever is wrong with a file, the message names file and line in one sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import jsonlines
from pydantic import ValidationError

_Row = TypeVar("_Row")


def read_rows(path: Path | str, kind: Callable[..., _Row], what: str) -> list[_Row]:
    """The fields of every line, a JSON object, given to `kind`; `what` says in messages what a line should be: "a probe".

    Raises ValueError: the file cannot be read, or a line is something else.
    """
    rows: list[_Row] = []
    try:
        with jsonlines.open(path) as lines:
            for number, row in enumerate(lines.iter(type=dict), 1):
                try:
                    rows.append(kind(**row))
                except (TypeError, ValueError) as error:
                    raise ValueError(f"{path}, line {number}: not {what}: {_reason(error)}") from None
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    except jsonlines.InvalidLineError as error:
        raise ValueError(f"{path}, line {error.lineno}: not a JSON object: {error.line.strip()[:60]!r}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{str(path)!r} is not UTF-8 text: {error.reason}") from None
    return rows


def _reason(error: Exception) -> str:
    """The several lines of a pydantic error as one."""
    if not isinstance(error, ValidationError):
        return str(error)
    parts = [(".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")) for one in error.errors()]
    return "; ".join(": ".join(filter(None, both)) for both in parts)
