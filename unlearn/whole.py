"""Files and folders that are whole or not there: written under a temporary name beside, then renamed.

One process writes a path at a time, so the temporary name is a fixed one: what a killed process left there, the next one overwrites.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonlines


@contextmanager
def whole_file(path: Path | str) -> Iterator[Path]:
    """The temporary name to write under; it takes the file's place when the block ends, and is removed if the block raises.

    Folders above it are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """An empty folder to write into; it gets its name when the block ends, and is removed if the block raises. None has that name yet."""
    temporary = path.with_name(f".{path.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def json_text(content: Any) -> str:
    """Same content, same text."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write_json(path: Path, content: Any) -> None:
    """Writes JSON, whole or not at all; same content, same bytes."""
    write_text(path, json_text(content))


def write_lines(path: Path | str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes JSON lines, whole or not at all."""
    with whole_file(path) as temporary, jsonlines.open(temporary, "w") as lines:
        lines.write_all(rows)
