"""Files that are whole or not there: written under a temporary name beside, then renamed."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonlines


@contextmanager
def whole(path: Path | str) -> Iterator[Path]:
    """The temporary name to write under; it takes the file's place when the block ends, and is removed if the block raises.

    Folders above it are made. Each process has a temporary name of its own: of two that write the same file, the last one's is there,
    whole. A process that is killed leaves its temporary file behind.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path | str, text: str) -> None:
    """Writes UTF-8 text, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, content: Any, *, sort_keys: bool = False) -> None:
    """Writes JSON, whole or not at all; the same content, the same bytes.

    Raises:
        ValueError: a number is not finite: JSON has none such.
    """
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False, sort_keys=sort_keys)
    write_text(path, text + "\n")


def write_lines(path: Path | str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes JSON lines, whole or not at all."""
    with whole(path) as temporary, jsonlines.open(temporary, "w") as lines:
        lines.write_all(rows)
