"""A corpus, passage by passage, as plain text."""

import hashlib
import random
import re
from dataclasses import dataclass
from pathlib import Path

from hp_bench.text.records import read_records
from unlearn.corpus.books import READ, read_book
from unlearn.corpus.lines import is_heading, is_verse


def passages_of(path: Path, *, prose: bool = False) -> list[str]:
    """Paragraphs of a text, EPUB or HTML file, `text` fields of a .jsonl file, or those of every such file in a folder, white space made
    single.

    `prose`: without headings and verse.

    Raises ValueError: there is no text.
    """
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in READ) if path.is_dir() else [path]
    parts = [part for file in files for part in _parts(file) if not (prose and (is_heading(part) or is_verse(part)))]
    found = [" ".join(part.split()) for part in parts]
    if not any(found):
        raise ValueError(
            f"corpus {str(path)!r} holds no text: it may be a file of {', '.join(READ)}, or a folder of them"
        )
    return [passage for passage in found if passage]


def _parts(file: Path) -> list[str]:
    try:
        if file.suffix == ".jsonl":
            return [record.fields["text"] for record in read_records(file) if not record.blank]  # type: ignore[index]
        return re.split(r"\n\s*\n", read_book(file))
    except OSError as error:
        raise ValueError(f"corpus {str(file)!r} cannot be read: {error.strerror}") from None
    except (KeyError, TypeError):
        raise ValueError(f"corpus {str(file)!r} does not hold a JSON object with a text on every line") from None


#: Words before the cut, and words that are to follow.
GIVEN, FOLLOWING = 50, 50

#: Of the words that follow, how many more the model is given, for extraction strength.
STEPS = tuple(range(0, FOLLOWING, 5))

#: Passages asked of a long text, and of the shortest one that is enough.
MOST, FEWEST = 100, 20


@dataclass(frozen=True)
class Passage:
    """A run of `GIVEN` + `FOLLOWING` words: offset of its first character in the text, digest of its characters, and cuts: for each of
    `STEPS`, what is given and what follows; a continuation begins with the white space before its first word.
    """

    offset: int
    sha256: str
    cuts: tuple[tuple[str, str], ...]


def passages(text: str, *, seed: int) -> list[Passage]:
    """Passages at seeded offsets, in the order of the text; none overlaps another. Raises ValueError: the text is too short.

    Words are what stands between white space; the text is taken as it stands, line ends included.
    """
    spans = [match.span() for match in re.finditer(r"\S+", text)]
    length = GIVEN + FOLLOWING
    places = len(spans) // length
    if places < FEWEST:
        raise ValueError(
            f"{len(spans):,} words are too few: at least {FEWEST * length:,} are needed ({FEWEST} passages of {length} words)"
        )
    rng = random.Random(f"verbatim {seed}")
    shift = rng.randrange(len(spans) - places * length + 1)
    chosen = sorted(rng.sample(range(places), min(places, MOST)))
    return [_passage(text, spans[shift + place * length :][:length]) for place in chosen]


def _passage(text: str, spans: list[tuple[int, int]]) -> Passage:
    start, end = spans[0][0], spans[-1][1]
    at = [spans[GIVEN + step - 1][1] for step in STEPS]
    return Passage(
        offset=start,
        sha256=hashlib.sha256(text[start:end].encode("utf-8", "surrogatepass")).hexdigest(),
        cuts=tuple((text[start:cut], text[cut:end]) for cut in at),
    )
