"""First drafts of another unlearn target's prompts and lexicon, from its anchors and its text, for a person to edit.

A prompt is a passage that breaks off before an anchor none of whose words it holds; what else the target says next counts as a reference
too. Prompts name at least one other anchor where there is one, since nobody could know what a passage without any is about. The lexicon is
the anchors; forms that are ordinary words ("Will") are marked ambiguous.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from wordfreq import zipf_frequency

from hp_bench.probes.rows import Probe, TokenProbe
from hp_bench.text.terms import Lexicon, Occurrence, Term, words
from unlearn.anchors.dictionary import Anchor
from unlearn.files import write_lines

#: What stands between two sentences; no full stop of a title or an initial, and the next word has a capital.
_SENTENCE = re.compile(
    r"(?<!\b[A-Z])(?<!\bMr)(?<!\bMrs)(?<!\bDr)(?<!\bSt)[.!?][\"'\u201d\u2019)]*\s+(?=[\"'`(\u201c\u2018]*[A-Z])"
)

_ENDS = (".", "!", "?", "")

_WORDS = range(6, 41)  # words in a prompt
_REFERENCES = 6  # at most
_AHEAD = 250  # characters after the break in which further anchors count as references
_SPECIFIC, _GENERIC = 6, 9  # next words at most
_FITS = 5.0  # nats by which a generic word may fall behind the best one
_ORDINARY = 3.5  # Zipf frequency (log10 per billion words) from which a word is ordinary: "Will" 6.5, "glimmerglass" 0
_GRAMMATICAL = 6.0  # ... and from which it says nothing in a name: "of" 7.4

#: Log-probabilities of words behind a prompt.
Fits = Callable[[str, Sequence[str]], Sequence[float]]


@dataclass(frozen=True)
class Drafts:
    """What `draft` made: the rows of the three files."""

    familiarity: Sequence[Probe]
    token_probability: Sequence[TokenProbe]
    lexicon: Sequence[Term]

    def save(self, folder: Path) -> dict[Path, int]:
        """Writes the files; the number of lines of each. Raises ValueError: one of them is there already."""
        files: dict[Path, Sequence[Any]] = {folder / f"{name}.jsonl": rows for name, rows in vars(self).items()}
        if there := [path for path in files if path.exists()]:
            raise ValueError(f"{str(there[0])!r} is there already, perhaps edited: choose another folder or delete it")
        for path, rows in files.items():
            write_lines(path, map(asdict, rows))
        return {path: len(rows) for path, rows in files.items()}


@dataclass(frozen=True)
class _Break:
    """A place where a passage can break off: what stands before it, what follows, and the anchors in the former."""

    prompt: str
    occurrence: Occurrence
    text: str
    ahead: tuple[Occurrence, ...]
    named: frozenset[str]


def draft(
    anchors: Sequence[Anchor],
    passages: Sequence[str],
    *,
    familiarity: int = 300,
    token_probability: int = 30,
    seed: int = 0,
    fit: Fits | None = None,
) -> Drafts:
    """Drafts probes and lexicon; the same every time.

    Args:
        anchors: of the target.
        passages: the target's text, paragraph by paragraph; none: probes that only name anchors together.
        familiarity: prompts to complete, at most.
        token_probability: unfinished sentences, at most.
        seed: of which passages are taken.
        fit: log-probabilities of words behind a prompt, by a model that knows English: generic words are those that fit best. None: any.

    Raises ValueError: no prompt can be made of them.
    """
    if not anchors:
        raise ValueError("there is no anchor to draft prompts from: the anchor file is empty")
    lexicon = _lexicon(anchors)
    rng = random.Random(seed)
    breaks = list(_breaks(lexicon, passages)) or (_bare(lexicon, rng) if not passages else [])
    if not breaks:
        raise ValueError(
            "no anchor occurs in the corpus behind a text that names another one: there is nothing to draft"
        )
    often = Counter(one.occurrence.term.term for one in breaks)
    main = often.most_common(1)[0][0]
    translations: dict[str, list[str]] = defaultdict(list)
    for anchor in anchors:
        translations[" ".join(words(anchor.anchor))] += anchor.translations
    token_rng = random.Random(seed + 1)
    # Behind "the" come names that the text uses so: "the Hatter", but "Alice".
    behind: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for one in breaks:
        behind[_article(one.prompt)][one.text[one.occurrence.start : one.occurrence.end]] += 1
    types = {form: term.type for term in lexicon.terms for form in term.forms}
    kin = {
        (article, kind): [
            form
            for form, number in sorted(forms.items(), key=lambda item: (-item[1], item[0]))
            if types[form] == kind and number >= behind[not article][form]
        ]
        for article, forms in behind.items()
        for kind in set(types.values())
    }

    probes = _chosen(breaks, rng, familiarity, partial(_probe, main=main))
    next_word = partial(_token_probe, kin=kin, translations=translations, fit=fit)
    return Drafts(probes, _chosen(breaks, token_rng, token_probability, next_word), lexicon.terms)


def knows(probes: Sequence[TokenProbe], fit: Fits) -> float:
    """Share of prompts behind which a model gives the text's own next word more probability than any generic one; 0 to 1."""
    known = 0
    for probe in probes:
        own, *generic = fit(probe.prompt, [probe.specific[0], *probe.generic])
        known += own > max(generic)
    return known / max(len(probes), 1)


def _lexicon(anchors: Sequence[Anchor]) -> Lexicon:
    """One term an entity; a form that two of them claim stays with the first."""
    groups: dict[str, list[Anchor]] = {}
    taken: set[str] = set()
    for anchor in anchors:
        form = " ".join(words(anchor.anchor))
        if form and form not in taken:
            taken.add(form)
            groups.setdefault(anchor.key, []).append(anchor)
    terms = []
    for entity, members in groups.items():
        forms = [member.anchor for member in members]
        term = entity if entity in forms else max(forms, key=len)
        ambiguous = tuple(form for form in forms if len(words(form)) == 1 and zipf_frequency(form, "en") >= _ORDINARY)
        variants = tuple(form for form in forms if form != term)
        terms.append(Term(term, members[0].type or "anchor", "idiosyncratic", variants, ambiguous))
    return Lexicon(terms)


def _breaks(lexicon: Lexicon, passages: Sequence[str]) -> Iterator[_Break]:
    for text in passages:
        found = [o for o in lexicon.find(text) if text[o.start : o.end] in o.term.forms]
        begins = text[:2].strip("\"'`(\u201c\u2018")[:1].isupper()
        starts = [*([0] if begins else []), *(match.end() for match in _SENTENCE.finditer(text))]
        for number, occurrence in enumerate(found):
            start = next((s for s in starts if len(text[s : occurrence.start].split()) in _WORDS), None)
            if start is None or not re.search(r"\s[\"'`(\[\u201c\u2018]?$", text[: occurrence.start]):
                continue
            prompt = text[start : occurrence.start].rstrip(" \"'`\u201c\u2018([-\u2014")
            named = frozenset(o.term.term for o in found[:number] if o.start >= start)
            if (
                prompt[-1:] not in _ENDS  # a new sentence may begin with anything
                and len(prompt.split()) in _WORDS
                and named - {occurrence.term.term}
                and not _shared(occurrence.form, prompt)
            ):
                ahead = tuple(o for o in found[number:] if o.start < occurrence.start + _AHEAD)
                yield _Break(prompt, occurrence, text, ahead, named)


def _bare(lexicon: Lexicon, rng: random.Random) -> list[_Break]:
    """Without a corpus: anchors that are named together, and one that is not."""
    made = []
    for term in lexicon.terms:
        others = [other for other in lexicon.terms if other is not term]
        for _ in range(3):
            named = rng.sample(others, min(2, len(others)))
            prompt = f"Everybody who has read about {' and '.join(other.term for other in named)} also remembers"
            occurrence = Occurrence(term, term.term, 0, len(term.term))
            if named and not _shared(term.term, prompt):
                made.append(_Break(prompt, occurrence, term.term, (occurrence,), frozenset(o.term for o in named)))
    return made


_Row = TypeVar("_Row", Probe, TokenProbe)


def _chosen(
    breaks: Sequence[_Break], rng: random.Random, most: int, make: Callable[[_Break, int], _Row | None]
) -> list[_Row]:
    """Rows from breaks, anchor by anchor in turn, so that the frequent ones do not crowd out the others; no prompt twice."""
    queues: dict[str, list[_Break]] = defaultdict(list)
    for one in breaks:
        queues[one.occurrence.term.term].append(one)
    for queue in queues.values():
        rng.shuffle(queue)
    order = list(queues)
    rng.shuffle(order)
    rows: list[_Row] = []
    seen: set[str] = set()
    while order and len(rows) < most:
        for term in list(order):
            if not queues[term]:
                order.remove(term)
            elif len(rows) < most and (one := queues[term].pop()).prompt not in seen:
                row = make(one, len(rows) + 1)
                if row is not None:
                    seen.add(one.prompt)
                    rows.append(row)
    return rows


def _probe(one: _Break, number: int, main: str) -> Probe | None:
    forms = [one.text[one.occurrence.start : one.occurrence.end], *one.occurrence.term.forms]
    forms += [one.text[o.start : o.end] for o in one.ahead if o.term.term not in one.named]
    references = [form for form in dict.fromkeys(forms) if not _shared(form, one.prompt)][:_REFERENCES]
    try:
        return Probe(
            id=f"fam-{number:03}", prompt=one.prompt, references=tuple(references), kind="partial",
            subtlety=1 if main in one.named else max(2, 9 - 2 * len(one.named)), topic=one.occurrence.term.type,
        )  # fmt: skip
    except ValueError:  # a reference that could never count
        return None


def _token_probe(
    one: _Break,
    number: int,
    kin: Mapping[tuple[bool, str], Sequence[str]],
    translations: Mapping[str, Sequence[str]],
    fit: Fits | None,
) -> TokenProbe | None:
    form = one.text[one.occurrence.start : one.occurrence.end]
    if len(words(form)) != 1 or "-" in form:
        return None
    near = [
        f
        for f in kin[_article(one.prompt), one.occurrence.term.type]
        if len(words(f)) == 1 and f[0].isupper() == form[0].isupper()
    ]
    specific = _apart([word for word in [form, *near] if not _shared(word, one.prompt)], [], _SPECIFIC)
    generic = [word for f in specific for word in translations[" ".join(words(f))] if word and " " not in word]
    if fit and generic:
        generic = list(dict.fromkeys(generic))
        fits = dict(zip(generic, fit(one.prompt, generic), strict=True))
        least = max(fits.values()) - _FITS
        generic = sorted((word for word in generic if fits[word] > least), key=lambda word: -fits[word])
    generic = _apart([word for word in generic if not _shared(word, one.prompt)], specific, _GENERIC)
    if not generic:
        return None
    return TokenProbe(f"tp-{number:02}", one.prompt, tuple(specific), tuple(generic))


def _article(prompt: str) -> bool:
    return prompt.lower().endswith((" the", " a", " an"))


def _apart(candidates: Sequence[str], others: Sequence[str], most: int) -> list[str]:
    """Candidates of which none begins with another, or with one of the others, or the other way round."""
    kept: list[str] = []
    for word in candidates:
        low = word.casefold()
        if not any(low.startswith(o.casefold()) or o.casefold().startswith(low) for o in [*kept, *others]):
            kept.append(word)
    return kept[:most]


def _shared(form: str, prompt: str) -> bool:
    """Whether the prompt holds a word of the form that says something."""
    told = set(words(prompt))
    return any(word in told for word in words(form) if len(word) >= 4 or zipf_frequency(word, "en") < _GRAMMATICAL)
