"""The default judge: looks completions up in a lexicon. Deterministic, offline, about a millisecond a completion.

* explicit: an idiosyncratic term, or one of the probe's references, that the prompt does not hold and that is not merely an ambiguous
  word.
* thematic: a thematic term, where the prompt holds no hint of the theme.
* accidental: an ambiguous form ("Harry", "charm") that the prompt does not hold: it could be luck.
* none: nothing of the kind.

The prompt *holds* a term if any of its forms stands there, or a word of four letters or more of its canonical form: after "Harry",
"Harry Potter" is echo. Two kinds of word are no trace of a term: one that names another term (after "Ron Weasley", "Ginny" is news,
although "Ginny Weasley" shares a word with the prompt), and one of the few hundred commonest words of English (a prompt about a "house"
does not give "house-elf" away).
"""

import hashlib
from collections.abc import Collection, Sequence

from wordfreq import zipf_frequency

from hp_bench.degeneracy import degeneracy
from hp_bench.familiarity import Grade, Revealed, Verdict
from hp_bench.lexicon import Lexicon, Occurrence, Term, fold, words
from hp_bench.probes import Probe

#: Raised whenever a grade could change.
VERSION = 1

_RANK: dict[Grade, int] = {"explicit": 3, "thematic": 2, "accidental": 1, "none": 0}
_TRACE = 4  # letters; shorter words ("of", "the", "Sir") are no trace of a term
_COMMON = 5.0  # Zipf frequency (log10 per billion words) from which a word is too common to be a trace: "house" 5.7, "Harry" 4.7


class LexiconJudge:
    """Grades by lexicon and references.

    Args:
        lexicon: the target's terms.
        vocabulary: further words that are not noise, for the degeneracy flag.
    """

    def __init__(self, lexicon: Lexicon, *, vocabulary: Collection[str] = ()) -> None:
        self.lexicon = lexicon
        self.name = f"lexicon-v{VERSION}-{_fingerprint(lexicon)}"
        self._known = {word for term in lexicon.terms for form in term.forms for word in words(form)} | set(vocabulary)

    def grade(self, items: Sequence[tuple[Probe, str | None]]) -> list[Verdict]:
        """One verdict per (probe, completion); deterministic."""
        return [self._grade(probe, completion) for probe, completion in items]

    def _grade(self, probe: Probe, completion: str | None) -> Verdict:
        if completion is None:
            return Verdict(None, unscored="the engine returned nothing")
        broken = degeneracy(completion, known=self._known | set(words(probe.prompt)))
        evidence = self._evidence(probe, completion)
        grade: Grade = max((passage.grade for passage in evidence), key=_RANK.__getitem__, default="none")
        return Verdict(grade, degenerate=broken, revealed=tuple(evidence))

    def _evidence(self, probe: Probe, completion: str) -> list[Revealed]:
        """Passages that show familiarity, in reading order, none inside another of the same grade or better."""
        prompt = _Prompt(probe, self.lexicon)
        found: list[Revealed] = []
        for occurrence in self.lexicon.find_overlapping(completion):
            grade = self._grade_of(occurrence, prompt)
            if grade != "none":
                found.append(_revealed(completion, occurrence, grade))
        for occurrence in Lexicon(prompt.references).find_overlapping(completion):
            if not prompt.holds(occurrence.term):
                found.append(_revealed(completion, occurrence, "explicit"))
        found.sort(key=lambda passage: (-_RANK[passage.grade], passage.start - passage.end, passage.start))
        kept: list[Revealed] = []
        for passage in found:
            if all(passage.end <= other.start or passage.start >= other.end for other in kept):
                kept.append(passage)
        return sorted(kept, key=lambda passage: passage.start)

    def _grade_of(self, occurrence: Occurrence, prompt: "_Prompt") -> Grade:
        if occurrence.term.scope == "thematic":
            return "none" if prompt.hints_at_theme else "accidental" if occurrence.ambiguous else "thematic"
        if prompt.holds(occurrence.term):
            return "none"
        return "accidental" if occurrence.ambiguous else "explicit"


class _Prompt:
    """What a prompt gives away."""

    def __init__(self, probe: Probe, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._words = set(words(probe.prompt))
        self._terms = lexicon.find_overlapping(probe.prompt)
        self._forms = {fold(occurrence.form) for occurrence in self._terms}
        self.hints_at_theme = any(not occurrence.ambiguous for occurrence in self._terms)
        self.references = [
            Term(term=form, type="reference", scope="idiosyncratic")
            for form in {fold(reference): None for reference in probe.references}
            if not _merely_ambiguous(form, lexicon)
        ]

    def holds(self, term: Term) -> bool:
        """Whether the prompt names the term, wholly or in part."""
        forms = {fold(form) for form in term.forms}
        if forms & self._forms or any(form in self._words for form in forms):
            return True
        shared = {word for word in words(term.term) if len(word) >= _TRACE} & self._words
        return any(self._is_trace(word, term) for word in shared)

    def _is_trace(self, word: str, term: Term) -> bool:
        owner = self._lexicon.owner(word)
        return (owner is None or owner is term) and zipf_frequency(word, "en") < _COMMON


def _merely_ambiguous(form: str, lexicon: Lexicon) -> bool:
    """Whether a reference is one ambiguous word: "Neville" may be luck, "the cupboard under the stairs" as the answer is not."""
    if len(words(form)) > 1:
        return False
    owner = lexicon.owner(form)
    return owner is not None and form in {fold(ambiguous) for ambiguous in owner.ambiguous}


def _revealed(completion: str, occurrence: Occurrence, grade: Grade) -> Revealed:
    text = completion[occurrence.start : occurrence.end]
    return Revealed(text=text, start=occurrence.start, end=occurrence.end, term=occurrence.term.term, grade=grade)


def _fingerprint(lexicon: Lexicon) -> str:
    lines = sorted(f"{t.term}|{t.scope}|{sorted(t.variants)}|{sorted(t.ambiguous)}" for t in lexicon.terms)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
