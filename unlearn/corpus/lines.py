"""What the line breaks of a text show: headings and verse."""

import re
from collections.abc import Iterator

_PARAGRAPH = re.compile(r"[^\n]+(?:\n[ \t]*[^\s][^\n]*)*")

#: Characters of the longest line of verse.
_VERSE = 50


def paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each run of lines with no blank one among them."""
    return (match.span() for match in _PARAGRAPH.finditer(text) if match[0].strip())


def is_heading(paragraph: str) -> bool:
    """Whether it is one line of words with capitals that ends without a stop."""
    words = paragraph.split()
    if "\n" in paragraph.strip() or not 1 <= len(words) <= 12 or words[-1][-1] in ".,;:!?\"”’'-—…":
        return False
    return sum(word[0].isupper() or word[0].isdigit() for word in words) >= 0.6 * len(words)


def is_verse(paragraph: str) -> bool:
    """Whether it is three or more short lines, each of which begins with a capital."""
    lines = [line.strip(" \t\"'`“‘(") for line in paragraph.strip().splitlines()]
    return len(lines) > 2 and all(line[:1].isupper() and len(line) <= _VERSE for line in lines)
