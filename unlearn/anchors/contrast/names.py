"""Which capitalised words of a corpus are names, and which merely open a sentence."""

from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass
from itertools import pairwise

from unlearn.anchors.english import CALENDAR, DIRECTIONS, FUNCTION, TITLES, zipf
from unlearn.anchors.tally import Run, Tally

#: A word at least this common (Zipf scale: 5 = once in 10,000 words) that only ever opens sentences is taken for an ordinary one.
_COMMON = 4.8


@dataclass(frozen=True)
class Name:
    """A name as it stands in the text.

    Attributes:
        text: the name, its title included.
        words: its words; for a compound ("Guild of Tides") what stands between its spaces.
        count: occurrences, those inside longer names left out, titles before it allowed.
        middle: of those, not at the opening of a sentence.
        sure: its capitals alone show that it is a name; else the words around it must.
    """

    text: str
    words: tuple[str, ...]
    count: int
    middle: int
    sure: bool

    @property
    def core(self) -> tuple[str, ...]:
        """The words without the titles in front; at least one."""
        words = self.words
        while len(words) > 1 and words[0] in TITLES and words[1][0].isupper():  # not "Captain of the Watch"
            words = words[1:]
        return words


def find_names(tally: Tally, *, min_count: int) -> dict[str, Name]:
    """Names by their text.

    A single word is surely a name if at least half of its occurrences that open no sentence are capitalised; one that always opens
    sentences and never stands in lower case is an unsure one, and so is a name that is an ordinary word too ("Will"). Rarer than
    `min_count`, a compound is no name, nor is a word that is an ordinary one too; other names may be rare.
    """
    counts, middles, words = _resolved(tally)
    _accept_compounds(tally, counts, middles, words, min_count)
    found = {}
    for text, count in counts.items():
        sure = _sure(text, words[text], middles[text], tally, min_count) if count else None
        if sure is not None:
            found[text] = Name(text, words[text], count, middles[text], sure)
    return found


def _resolved(tally: Tally) -> tuple[Counter[str], Counter[str], dict[str, tuple[str, ...]]]:
    pieces, own = Counter[Run](), Counter[str]()
    pairs = Counter[tuple[str, str]]()
    for run, number in tally.runs.items():
        pairs.update(dict.fromkeys(pairwise(run.words), number))
    months = {(a, b) for (a, b), n in pairs.items() if a in CALENDAR and 2 * n > tally.capital[b] and n > 2}
    for run, number in tally.runs.items():
        for piece in _pieces(run, tally, months):
            pieces[piece] += number
            own[piece.text] += number
    counts, middles = Counter[str](), Counter[str]()
    words: dict[str, tuple[str, ...]] = {}
    for piece, number in pieces.items():
        for core in _apart(piece, own):
            while True:
                words[core.text] = core.words
                counts[core.text] += number
                middles[core.text] += 0 if core.opens else number
                if core.words[0] not in TITLES or len(core.words) == 1:
                    break
                core = Run(False, core.words[1:], core.gaps[1:])
    return counts, middles, words


def _apart(run: Run, own: Counter[str]) -> Iterator[Run]:
    """Names that merely met, as in "In Port Ansel Nora slept": one of them stands alone at least twice as often as both together."""
    opens, words, gaps = run
    cuts = [n for n in range(1, len(words)) if gaps[n - 1].isspace() and words[n - 1] not in TITLES]
    halves = [(Run(opens, words[:n], gaps[: n - 1]), Run(False, words[n:], gaps[n:])) for n in cuts]
    best = max(halves, key=lambda pair: sum(own[half.text] for half in pair), default=None)
    if len(words) < 3 or best is None or max(own[half.text] for half in best) < 2 * own[run.text]:
        yield run
        return
    for half in best:
        yield from _apart(half, own)


def _pieces(run: Run, tally: Tally, months: Set[tuple[str, str]]) -> Iterator[Run]:
    """A run without the word that merely opens the sentence and without days; cut before a title and at small words.

    `months`: day or month and the word that stands behind it and hardly elsewhere, as in "March Hare".
    """
    start = 1 if run.opens and len(run.words) > 1 and not _name_like(run.words[0], tally) else 0
    opens = run.opens and start == 0
    for index in range(start, len(run.words) + 1):
        at_end = index == len(run.words)
        word = "" if at_end else run.words[index]
        small = word.lower() in FUNCTION and word not in TITLES and not _rather_a_name(word, tally)
        title = word in TITLES and start < index < len(run.words) - 1 and run.words[index - 1] not in TITLES
        day = word in CALENDAR and run.words[index : index + 2] not in months
        direction = word in DIRECTIONS and index == start
        if at_end or small or title or day or direction:
            if index > start:
                yield Run(opens and start == 0, run.words[start:index], run.gaps[start : index - 1])
            start = index if title else index + 1
            opens = False


def _name_like(word: str, tally: Tally) -> bool:
    """Whether a word that opens a sentence before another capitalised one belongs to the name."""
    lower = word.lower()
    if word in TITLES:
        return True
    if lower in FUNCTION:
        return False
    if tally.middle[word]:
        return 2 * tally.middle[word] >= tally.lower[lower]
    return not tally.lower[lower] and zipf(lower) < _COMMON


def _rather_a_name(word: str, tally: Tally) -> bool:
    """For words such as "Will", which are small words and names; those that are heard to speak ("said Two") are."""
    spoken = tally.speakers[word] and tally.middle[word] > 2
    return len(word) > 2 and bool(spoken or 6 * tally.middle[word] > tally.lower[word.lower()])


def _accept_compounds(
    tally: Tally, counts: Counter[str], middles: Counter[str], words: dict[str, tuple[str, ...]], min_count: int
) -> None:
    """A compound is a name if its rarer end stands in it half of the time, or an owner nearly always; the ends lose those occurrences."""
    compounds: Counter[str] = Counter()
    parts: dict[str, tuple[str, ...]] = {}
    for text, number in tally.compounds.items():
        first, space, rest = text.partition(" ")
        small = bool(space) and first.lower() in FUNCTION
        name = rest if small else text
        if not space or (rest and name[0].isupper()):
            head, *others = tally.parts[text]
            compounds[name] += number
            parts[name] = (head.partition(" ")[2] if small and " " in head else head, *others)
    before = Counter(counts)
    for name, number in sorted(compounds.items()):
        ends = (parts[name][0], parts[name][-1])
        owned = "'s " in name or "’s " in name  # "Hog's Head", but not "Nora's Head"
        needed = 0.8 * before[ends[0]] if owned else 0.5 * min(before[end] for end in ends)
        if number < max(min_count, needed):
            continue
        words[name] = tuple(name.split(" "))
        counts[name] = middles[name] = number
        for end in ends:
            counts[end] = max(counts[end] - number, 0)
            middles[end] = min(middles[end], counts[end])


def _sure(text: str, words: tuple[str, ...], middle: int, tally: Tally, min_count: int) -> bool | None:
    """True: a name; False: perhaps; None: no name."""
    if all(word in DIRECTIONS or (word.lower() in FUNCTION and not _rather_a_name(word, tally)) for word in words):
        return None
    if all(word in TITLES for word in words) and (len(words) > 1 or middle < min_count):
        return None  # "the Queen" may be one
    if 2 * tally.fragments[words[-1]] >= max(tally.capital[words[-1]], 1):
        return None  # "Soo--oop"
    if text.isupper() and all(tally.lower[w.lower()] or tally.capital[w.capitalize()] for w in words):
        return None  # shouted; kept beside its ordinary form
    if len(words) > 1:
        return True
    word, lower = words[0], tally.lower[words[0].lower()]
    if len(word) == 1:
        return None
    if middle:
        if 2 * middle >= middle + lower or tally.speakers[word]:
            return True
        return False if middle >= min_count and (_rather_a_name(word, tally) or 50 * middle > lower) else None
    return False if not lower and zipf(word.lower()) < _COMMON else None
