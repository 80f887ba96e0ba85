"""A corpus, passage by passage, as plain text."""

import re
from pathlib import Path

import jsonlines


def passages_of(path: Path) -> list[str]:
    """Paragraphs of a .txt file, `text` fields of a .jsonl file, or those of every such file in a folder, white space made single.

    Raises:
        ValueError: there is no text.
    """
    files = sorted(file for file in path.rglob("*") if file.suffix in (".txt", ".jsonl")) if path.is_dir() else [path]
    found = [" ".join(part.split()) for file in files for part in _parts(file)]
    if not any(found):
        raise ValueError(f"corpus {str(path)!r} holds no text: it may be a .txt or .jsonl file, or a folder of them")
    return [passage for passage in found if passage]


def _parts(file: Path) -> list[str]:
    try:
        if file.suffix == ".jsonl":
            with jsonlines.open(file) as lines:
                return [row["text"] for row in lines]
        return re.split(r"\n\s*\n", file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"corpus {str(file)!r} cannot be read: {error.strerror}") from None
    except (jsonlines.InvalidLineError, KeyError, TypeError):
        raise ValueError(f"corpus {str(file)!r} does not hold a JSON object with a text on every line") from None
    except UnicodeDecodeError:
        raise ValueError(f"corpus {str(file)!r} is not UTF-8 text") from None
