"""Finding a target's own terms however they are written: joined, hyphenated, spaced out, in look-alike letters, cut off, misspelt.

Only unambiguous forms of idiosyncratic terms are looked for: what is merely typical of a theme, or an ordinary word, has too many
neighbours. A misspelling has the same first letter (or one that sounds like it), is one or two edits away, more with more letters, and is
itself no ordinary word of a language: "Dumbeldore" is a misspelling, "Wimbledon" and "Grunting" are not.
"""

import re
import unicodedata
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise

from wordfreq import zipf_frequency

from hp_bench.text.terms import Occurrence, Term, fold

_SHORTEST = 6  # letters of a word that may be misspelt, and of one that may be cut off
_JOINED = 8  # letters of a form that may be written without its spaces, or with others
_USUAL = 2.0  # Zipf frequency from which two words that stand apart are two words: "hog warts"
_LONGEST = 8  # words of a form

_LANGUAGES = ("fr", "de", "es", "it", "pt", "nl", "pl")

_SOUND = str.maketrans("kqzyj", "ccsig")

_LOOKALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb\u043a\u043c\u0442\u043d\u0432\u03b1\u03b5\u03bf\u03c1\u03c5\u03bd\u03ba\u03b9\u03c4",
    "aeopcyxijsdhkmthbaeopyvkit",
)

_DIGITS = str.maketrans("0134579@$!", "oleastgasi")

_ENGLISH = frozenset(
    "the and of to is was in on at it he she they that with for his her their i you we not one who an".split()
)

_GAP = re.compile(r"[ \t\u00a0_\-\u2010-\u2014]*\n?[ \t\u00a0_\-]*|\. ?")


@dataclass(frozen=True)
class _Token:
    """A folded word of a text, and where it stands there; `stem` is the word without a possessive 's."""

    word: str
    stem: str
    start: int
    end: int


class Spellings:
    """The unambiguous forms of idiosyncratic terms, found under other spellings; terms of another scope are ignored."""

    def __init__(self, terms: Iterable[Term]) -> None:
        self._exact: dict[str, tuple[Term, str]] = {}
        self._joined: dict[str, tuple[Term, str]] = {}
        self._forms: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        self._anchors: dict[str, list[tuple[Term, str, tuple[str, ...], int]]] = defaultdict(list)
        for term in terms:
            for form in term.forms if term.scope == "idiosyncratic" else ():
                if form not in term.ambiguous:
                    self._add(term, form)
        self._seen: dict[str, list[str]] = {}
        self._neighbours: dict[str, list[str]] = defaultdict(list)
        for word in self._anchors:
            for short in _shortened(word, 2 if len(word) >= 5 else 1):
                self._neighbours[short].append(word)
        self._starts = sorted(form for form in self._exact if len(form) > _SHORTEST)

    def _add(self, term: Term, form: str) -> None:
        parts = tuple(token.word for token in _tokens(form))
        spaced, joined = " ".join(parts), "".join(parts)
        if len(joined) < 5 or len(parts) > _LONGEST or not joined.isalpha():
            return
        self._exact.setdefault(spaced, (term, form))
        if len(joined) >= _JOINED:
            self._joined.setdefault(joined, (term, form))
        known = self._forms[term.term]
        if any(len(other) == len(parts) and _is_misspelling(parts, other) for other in known):
            return  # the neighbours of a misspelling are too far from what it stands for
        known.append(parts)
        longest = max(range(len(parts)), key=lambda i: len(parts[i]))
        own = parts[0] in _words_of(term.term)
        if len(parts[longest]) >= (5 if len(parts) > 1 else _SHORTEST) and (own or len(parts) > 1):
            self._anchors[parts[longest]].append((term, form, parts, longest))

    def find(self, text: str) -> list[Occurrence]:
        """Occurrences under any spelling, sorted by start, the longest first; those of the lexicon's own spelling among them."""
        tokens = _tokens(text)
        linked = [bool(_GAP.fullmatch(text, a.end, b.start)) for a, b in pairwise(tokens)]
        found = {
            (occurrence.start, occurrence.end, occurrence.term.term): occurrence
            for search in (self._apart, self._misspelt)
            for occurrence in search(text, tokens, linked)
        }
        for occurrence in [*self._disguised(text), *self._cut_off(text, tokens, linked)]:
            found.setdefault((occurrence.start, occurrence.end, occurrence.term.term), occurrence)
        return sorted(found.values(), key=lambda occurrence: (occurrence.start, -occurrence.end))

    def _apart(self, text: str, tokens: list[_Token], linked: list[bool]) -> Iterator[Occurrence]:
        """HarryPotter, harry_potter, hogwarts123, Marauders-Map, Hog-warts, Dumble dore."""
        for first in range(len(tokens)):
            pieces: list[str] = []
            for last in range(first, min(first + _LONGEST, len(tokens))):
                if last > first and not linked[last - 1]:
                    break
                pieces.append(tokens[last].word)
                start, end = tokens[first].start, tokens[last].end
                entry = self._exact.get(" ".join(pieces))
                if entry is None and len(pieces) <= 3:
                    entry = self._joined.get("".join(pieces))
                    if (
                        len(pieces) > 1
                        and any(c.isspace() for c in text[start:end])
                        and all(zipf_frequency(piece, "en") >= _USUAL for piece in pieces)
                    ):
                        entry = None
                if entry is not None:
                    yield Occurrence(*entry, start, end)

    def _misspelt(self, text: str, tokens: list[_Token], linked: list[bool]) -> Iterator[Occurrence]:
        if not _may_be_english(tokens):
            return
        for place, token in enumerate(tokens):
            said = text[token.start : token.end]
            if not (said.isascii() or token.word[0] > "\u0370" or "'" in fold(said)):
                continue  # an accent: a word of another language
            for anchor in self._close(token.stem):
                for term, form, parts, at in self._anchors[anchor]:
                    first = place - at
                    last = first + len(parts) - 1
                    if first < 0 or last >= len(tokens) or not all(linked[first:last]):
                        continue
                    run = [t.word for t in tokens[first : last + 1]] if last > first else [token.stem]
                    if _is_misspelling(run, parts):
                        yield Occurrence(term, form, tokens[first].start, tokens[last].end)

    def _close(self, word: str) -> list[str]:
        """Words of forms that may be meant by this one."""
        if len(word) < 4 or not word.isalpha():
            return []
        if word not in self._seen:
            most = 2 if len(word) >= 5 else 1
            self._seen[word] = sorted({a for short in _shortened(word, most) for a in self._neighbours.get(short, ())})
        return self._seen[word]

    def _disguised(self, text: str) -> Iterator[Occurrence]:
        """H o g w a r t s, H.O.G.W.A.R.T.S, look-alike letters of other alphabets, digits for letters, hogwaaarts, invisible characters."""
        for run in re.finditer(r"(?<!\w)\w(?:([ .\-_*])\w)(?:\1\w)+(?!\w)", text):
            entry = self._of_one_word(fold(re.sub(r"\W|_", "", run[0])))
            if entry is not None:
                yield Occurrence(*entry, run.start(), run.end())
        for run in re.finditer(r"[\w@$!\u00ad\u200b-\u200d\u2060\ufeff]{5,}", text):
            plain = fold("".join(c for c in run[0] if unicodedata.category(c) != "Cf")).strip("!")
            spellings = [plain] if plain.isascii() else [plain, plain.translate(_LOOKALIKES)]
            if not plain.isalpha():
                spellings += [plain.translate(_DIGITS), plain.replace("1", "i").translate(_DIGITS)]
            spellings.append(re.sub(r"(.)\1{2,}", r"\1", plain))
            for spelling in spellings:
                entry = self._of_one_word(spelling) if spelling != run[0] else None
                if entry is not None:
                    yield Occurrence(*entry, run.start(), run.end())
                    break

    def _of_one_word(self, word: str) -> tuple[Term, str] | None:
        return (self._exact.get(word) or self._joined.get(word)) if len(word) >= 5 else None

    def _cut_off(self, text: str, tokens: list[_Token], linked: list[bool]) -> Iterator[Occurrence]:
        """The beginning of a form at which the text breaks off: "Hogwar", "McGonag"; after a first word, three letters: "Severus Sna"."""
        for first in range(len(tokens) - 1, max(len(tokens) - 4, -1), -1):
            last, begun = tokens[-1], " ".join(token.word for token in tokens[first:])
            if last.end != len(text) or not all(linked[first:]):
                return
            several = first < len(tokens) - 1
            if (several and (len(last.word) < 3 or not text[last.start].isupper())) or len(begun) < _SHORTEST:
                continue
            at = bisect(self._starts, begun)
            near = (form for form in self._starts[at : at + 9] if form.startswith(begun) and form[len(begun)] != " ")
            whole = next(near, None)
            if whole and (several or not _is_ordinary(begun)):
                yield Occurrence(*self._exact[whole], tokens[first].start, last.end)


@lru_cache(maxsize=1)
def _words_of(term: str) -> frozenset[str]:
    """Of a term, whose forms come one after the other."""
    return frozenset(token.word for token in _tokens(term))


def _tokens(text: str) -> list[_Token]:
    """Words of a text, folded, without apostrophes and accents, parted at CamelCase, digits, underscores and hyphens."""
    tokens: list[_Token] = []
    word: list[str] = []
    start = end = 0
    apostrophe: int | None = None
    folded = fold(text)

    def close() -> None:
        nonlocal apostrophe
        if word:
            said = "".join(word)
            stem = said[:-1] if apostrophe == len(said) - 1 and said.endswith("s") else said
            tokens.append(_Token(said, stem, start, end))
            word.clear()
        apostrophe = None

    for position, character in enumerate(text):
        if character > "\x7f" and unicodedata.category(character) in ("Mn", "Cf"):
            continue
        if folded[position] == "'" and word and folded[position + 1 : position + 2].isalpha():
            apostrophe = len(word)
        elif character.isalnum():
            previous = text[end - 1] if word else ""
            if word and ((character.isupper() and previous.islower()) or character.isalpha() != previous.isalpha()):
                close()
            if not word:
                start = position
            word.append(folded[position])
            end = position + 1
        else:
            close()
    close()
    return tokens


def _may_be_english(tokens: Sequence[_Token]) -> bool:
    """Whether a text is in English or Russian, or too short to say: a misspelt Latin spell is a word of half the Romance languages."""
    if len(tokens) < 8:
        return True
    known = sum(token.word in _ENGLISH or token.word[0] > "\u0370" for token in tokens)
    return known * 12 >= len(tokens)


def _is_misspelling(said: Sequence[str], meant: Sequence[str]) -> bool:
    """Whether words are a form, or a misspelling of it."""
    alone, total = len(meant) == 1, 0
    for word, right in zip(said, meant, strict=True):
        if word == right:
            continue
        allowed = _allowed(min(len(word), len(right)), alone=alone)
        cost = edits(word, right, allowed)
        total += cost
        if cost > allowed or not word.isalpha() or word[0].translate(_SOUND) != right[0].translate(_SOUND):
            return False
        if _is_ordinary(word) and (
            alone or cost > 1 + (len(meant) > 3) or len(word) < _SHORTEST or all(map(_is_ordinary, said))
        ):
            return False
    return alone or total <= sum(map(len, meant)) // 4


def _allowed(letters: int, *, alone: bool) -> int:
    if alone:
        return 0 if letters < _SHORTEST else 1 if letters < 8 else 2
    return 0 if letters < 4 else 1 if letters < 5 else 2


@lru_cache(maxsize=65536)
def _is_ordinary(word: str) -> bool:
    """Whether a word list of a language has a word, so that it is no misspelling of another one; common misspellings are in a lexicon."""
    if "\u0400" <= word[0] <= "\u04ff":
        return zipf_frequency(word, "ru") >= 3.0
    return zipf_frequency(word, "en") > 0 or any(
        zipf_frequency(word, code, wordlist="small") > 0 for code in _LANGUAGES
    )


@lru_cache(maxsize=65536)
def edits(a: str, b: str, most: int) -> int:
    """Insertions, deletions, replacements and swaps of neighbours that turn one word into another; `most` + 1 if more are needed."""
    if abs(len(a) - len(b)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        older, before, row = before, row, [i]
        for j, y in enumerate(b, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)


def _shortened(word: str, most: int) -> Iterator[str]:
    """The word without up to `most` of its letters: two words within `most` edits share one of these."""
    for left_out in range(most + 1):
        yield from map("".join, combinations(word, len(word) - left_out))
