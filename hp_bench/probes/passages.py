"""A corpus, passage by passage, as plain text; a book, window by window and chapter by chapter, as it stands."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

from hp_bench.text.records import read_records
from unlearn.corpus.books import READ, read_book, require_once
from unlearn.corpus.lines import is_heading, is_verse


def passages_of(path: Path, *, prose: bool = False) -> list[str]:
    """Paragraphs of a text, EPUB or HTML file, `text` fields of a .jsonl file, or those of every such file in a folder, white space made
    single.

    `prose`: without headings and verse.

    Raises ValueError: there is no text, or a folder holds one book twice.
    """
    parts = [p for _, row, text in texts_of(path) for p in ([text] if row else re.split(r"\n\s*\n", text))]
    found = [" ".join(part.split()) for part in parts if not (prose and (is_heading(part) or is_verse(part)))]
    if not any(found):
        raise ValueError(
            f"corpus {str(path)!r} holds no text: it may be a file of {', '.join(READ)}, or a folder of them"
        )
    return [passage for passage in found if passage]


def texts_of(path: Path) -> Iterator[tuple[Path, str, str]]:
    """Every text of a file, or of the files of a folder: the file; its place, such as "line 5", in a .jsonl file, else ""; and the text."""
    if path.is_dir():
        require_once(path)
    for file in sorted(one for one in path.rglob("*") if one.suffix.lower() in READ) if path.is_dir() else [path]:
        try:
            if file.suffix == ".jsonl":
                rows = (record for record in read_records(file) if not record.blank)
                yield from ((file, record.place, record.fields["text"]) for record in rows)  # type: ignore[index]
            else:
                yield file, "", read_book(file)
        except OSError as error:
            raise ValueError(f"corpus {str(file)!r} cannot be read: {error.strerror}") from None
        except (KeyError, TypeError):
            raise ValueError(f"corpus {str(file)!r} does not hold a JSON object with a text on every line") from None


#: Words, or tokens, that a model is given of a book, and those that are to follow.
GIVEN, FOLLOWING = 50, 50

#: Characters from one window of a book to the next: about 50 tokens of English.
STRIDE = 200

#: Characters that fewer tokens than a window's may hold: no window begins nearer to the end of a book.
_TAIL = 300

#: Windows of the shortest book that is enough.
FEWEST = 20

#: Words that are to follow an opening, and the fewest where a chapter ends before; openings asked of a book with many chapters.
OPENED, FEWEST_OPENED, MOST_OPENINGS = 100, 25, 40

_HEADING = re.compile(r"^\W*(?:chapter|part|book)\b.{0,80}$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Opening:
    """How a book or one of its chapters begins: offset of its first character, `GIVEN` words of it, and up to `OPENED` that follow."""

    offset: int
    given: str
    following: str


def book_and_chapters(path: Path) -> tuple[str, list[int]]:
    """A text, EPUB or HTML file, line ends included, and the offsets at which its chapters begin.

    Of a .jsonl file the `text` fields, a blank line between two; each begins a chapter. In other files a heading does ("Chapter 1").

    Raises ValueError: it cannot be read, or is not UTF-8 text.
    """
    if path.suffix == ".jsonl":
        parts = [text for _, _, text in texts_of(path)]
        return "\n\n".join(parts), [0, *accumulate(len(part) + 2 for part in parts[:-1])]
    text = read_book(path).removeprefix("\ufeff")
    return text, [*dict.fromkeys((0, *(match.start() for match in _HEADING.finditer(text))))]


def window_starts(text: str, *, stride: int = STRIDE) -> list[int]:
    """Where the windows of a book begin: at the first word from every `stride`-th character on. Raises ValueError: the book is too short.

    Characters, not tokens, so that models with different tokenizers are asked at the same places.
    """
    if len(text) < (least := FEWEST * stride + _TAIL):
        raise ValueError(f"{len(text):,} characters are too few: at least {least:,} are needed ({FEWEST} windows)")
    begins = re.compile(r"(?<!\S)\S")
    words = ((place, begins.search(text, place, place + stride)) for place in range(0, len(text) - _TAIL, stride))
    return [place if word is None else word.start() for place, word in words]


def window_words(text: str, start: int) -> tuple[str, str]:
    """`GIVEN` words from a start on and the `FOLLOWING` ones, white space before them included; near the end of a book its last ones."""
    spans = [match.span() for match, _ in zip(_words(text, start), range(GIVEN + FOLLOWING), strict=False)]
    if len(spans) < GIVEN + FOLLOWING:
        spans = [match.span() for match in _words(text, 0)][-GIVEN - FOLLOWING :]
    cut = spans[GIVEN - 1][1]
    return text[spans[0][0] : cut], text[cut : spans[-1][1]]


def openings(text: str, chapters: Sequence[int]) -> list[Opening]:
    """The openings of a book's chapters that are long enough, at most `MOST_OPENINGS`, evenly spread. Raises ValueError: there is none."""
    found = []
    for start, end in pairwise([*chapters, len(text)]):
        spans = [match.span() for match, _ in zip(_words(text[:end], start), range(GIVEN + OPENED), strict=False)]
        if len(spans) >= GIVEN + FEWEST_OPENED:
            first, cut = spans[0][0], spans[GIVEN - 1][1]
            found.append(Opening(first, text[first:cut], text[cut : spans[-1][1]]))
    if not found:
        raise ValueError(f"neither the text nor a chapter of it has {GIVEN + FEWEST_OPENED} words")
    every = max(1.0, len(found) / MOST_OPENINGS)
    return [found[int(number * every)] for number in range(min(len(found), MOST_OPENINGS))]


def digest(text: str) -> str:
    """What stands for a text that is not to be shown."""
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _words(text: str, start: int) -> Iterator[re.Match[str]]:
    return re.compile(r"\S+").finditer(text, start)
