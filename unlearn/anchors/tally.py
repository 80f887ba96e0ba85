"""What a corpus holds, counted once: words, and runs of capitalised words with how their sentence stands to them.

"Captain Brandt", "Port Ansel", "Guild of Tides" are runs; so is a capitalised word by itself. English punctuation and capitals are assumed.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from unlearn.anchors.english import ABBREVIATED_TITLES, CONNECTORS, HYPHENATED, REPORTING
from unlearn.corpus.corpus import Document
from unlearn.corpus.lines import is_heading, is_verse, paragraphs

_POSSESSIVE = ("'s ", "’s ")
_WORD = re.compile(r"\w+(?:['’]\w+)*")
_DASH = re.compile(r"--|—$|^—")
_CONTRACTION = re.compile(r"(?:['’](?:s|S|ll|d|re|ve|m|LL|D|RE|VE))+$")
_NEW_SENTENCE = re.compile(r"[.!?…:*#]|\n\s*\n|(?:--|[•—–])\s+$|\n\s*-\s*$|(?:^|\s)['\"“‘«(\[]+$|[\"“«(\[]$")


class Token(NamedTuple):
    """A word: its text without 's, where it stands, and whether it opens a sentence or stands in a heading."""

    text: str
    start: int
    end: int
    opens: bool
    heading: bool


class Run(NamedTuple):
    """Capitalised words side by side, with what stands between them; `opens`: the first one opens a sentence."""

    opens: bool
    words: tuple[str, ...]
    gaps: tuple[str, ...]

    @property
    def text(self) -> str:
        """As it is written: `words[0] + gaps[0] + words[1] ...`."""
        return self.words[0] + "".join(gap + word for gap, word in zip(self.gaps, self.words[1:], strict=True))


@dataclass
class Tally:
    """Counts over a corpus; grows document by document.

    Attributes:
        words: how many words there are.
        any_case: occurrences of a word in any case, by its lower-case form.
        lower: occurrences in lower case.
        middle: occurrences with a capital that do not open a sentence, headings left out, by the form in the text.
        capital: occurrences with a capital, headings left out, by the form in the text.
        runs: capitalised words side by side, headings left out.
        compounds: runs joined by "of" and the like, or by 's, by their text.
        parts: the runs that a compound is made of.
        speakers: occurrences with a capital right behind "said" and the like.
        fragments: occurrences with a dash before or behind them and no space between: "Beau--ootiful", by the form in the text.
    """

    words: int = 0
    any_case: Counter[str] = field(default_factory=Counter)
    lower: Counter[str] = field(default_factory=Counter)
    middle: Counter[str] = field(default_factory=Counter)
    capital: Counter[str] = field(default_factory=Counter)
    runs: Counter[Run] = field(default_factory=Counter)
    compounds: Counter[str] = field(default_factory=Counter)
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    speakers: Counter[str] = field(default_factory=Counter)
    fragments: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, corpus: Iterable[Document]) -> "Tally":
        """Counts a whole corpus, a document at a time."""
        tally = cls()
        for document in corpus:
            tally.add(document.text)
        return tally

    def add(self, text: str) -> None:
        """Counts one document."""
        run: list[Token] = []
        chain: list[tuple[str, str]] = []  # runs of the compound so far, with what stood behind each
        before: Token | None = None
        connector = ""
        for token in tokens(text):
            gap = text[before.end : token.start] if before else "\n\n"
            word = token.text
            self.words += 1
            if _DASH.search(text[max(token.start - 2, 0) : token.start]) or _DASH.match(
                text[token.end : token.end + 2]
            ):
                self.fragments[word] += 1
            if before and gap.isspace() and not token.opens and word[0].isupper() and before.text in REPORTING:
                self.speakers[word] += 1
            before = token
            self.any_case[word.lower()] += 1
            named = not (word.islower() or token.heading) and _is_name_shaped(word)
            if word.islower():
                self.lower[word] += 1
                small = word in CONNECTORS or (connector and word == "the") if gap == " " else word in HYPHENATED
                if run and gap in (" ", "-") and small:
                    connector += gap + word
                    continue
            elif named:
                self.capital[word] += 1
                self.middle[word] += not token.opens
                if run and ((connector and gap in (" ", "-")) or gap in _POSSESSIVE):
                    chain.append((self._close(text, run), connector + gap))
                    run, connector = [token], ""
                    continue
                if run and not connector and _joins(gap, run[-1].text):
                    run.append(token)
                    continue
            self._end(text, run, chain)
            run, chain, connector = [token] if named else [], [], ""
        self._end(text, run, chain)

    def _end(self, text: str, run: list[Token], chain: list[tuple[str, str]]) -> None:
        """Counts every stretch of a chain that ends with a run: "Head of the Guild of Tides" is also a "Guild of Tides"."""
        chain = [*chain, (self._close(text, run), "")] if run else []
        for first in range(len(chain) - 1):
            for last in range(first + 1, min(first + 3, len(chain))):
                stretch = chain[first : last + 1]
                name = "".join(part + link for part, link in stretch[:-1]) + stretch[-1][0]
                self.compounds[name] += 1
                self.parts[name] = tuple(part for part, _ in stretch)

    def _close(self, text: str, run: list[Token]) -> str:
        gaps = tuple(text[a.end : b.start] for a, b in pairwise(run))
        gaps = tuple(re.sub(r"\s+", " ", gap) for gap in gaps)
        made = Run(run[0].opens, tuple(token.text for token in run), gaps)
        self.runs[made] += 1
        return made.text


def tokens(text: str) -> Iterator[Token]:
    """Words of a text, in order; 's and other contractions are no part of a word."""
    marked = [(*span, is_heading(text[slice(*span)]), is_verse(text[slice(*span)])) for span in paragraphs(text)]
    paragraph, end = 0, -1
    for match in _WORD.finditer(text):
        start, stop = match.span()
        word = match[0]
        if "'" in word or "’" in word:
            word = _CONTRACTION.sub("", word)
            stop = start + len(word)
        gap = text[end:start] if end >= 0 else ""
        opens = end < 0 or (gap != " " and bool(_NEW_SENTENCE.search(gap)) and not _abbreviated(text, end, gap))
        while marked[paragraph][1] <= start:
            paragraph += 1
        _, _, heading, verse = marked[paragraph]
        yield Token(word, start, start + len(word), opens or ("\n" in gap and verse), heading)
        end = stop


def _is_name_shaped(word: str) -> bool:
    return word[0].isupper() and word != "I" and not any(character.isdigit() or character == "_" for character in word)


def _joins(gap: str, word: str) -> bool:
    """Whether the next capitalised word belongs to the same name; a line's end may stand where a space could."""
    return gap in (" ", "-", "\n") or (gap in (". ", ".\n") and _may_be_abbreviated(word))


def _abbreviated(text: str, end: int, gap: str) -> bool:
    """Whether the full stop belongs to "Mr." or to an initial and ends no sentence."""
    if not gap.startswith(".") or gap[1:].strip():
        return False
    start = end
    while start > 0 and text[start - 1].isalpha():
        start -= 1
    return _may_be_abbreviated(text[start:end])


def _may_be_abbreviated(word: str) -> bool:
    return word in ABBREVIATED_TITLES or word == "St" or (len(word) == 1 and word.isupper() and word != "I")
