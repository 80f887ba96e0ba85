"""The default judge: looks completions up in a lexicon. Deterministic, offline, about a millisecond a completion.

* explicit: an idiosyncratic term, under whatever spelling, or a detail of one, or one of the probe's references, that the prompt does not
  hold and that is not merely an ambiguous word. A reference that is one ordinary word ("music", "snake") proves nothing by itself; one
  with a capital ("Phoenix") counts with its capital, inside a sentence.
* thematic: a thematic term, where the prompt holds no hint of the theme.
* accidental: an ambiguous form ("Harry", "charm") that the prompt does not hold, or a near miss of a reference: it could be luck.
* none: nothing of the kind.

The prompt *holds* a term if any of its forms stands there, or a word of four letters or more of its canonical form: after "Harry",
"Harry Potter" is echo. Two kinds of word are no trace of a term: one that names another term (after "Ron Weasley", "Ginny" is news,
although "Ginny Weasley" shares a word with the prompt), and one of the few hundred commonest words of English (a prompt about a "house"
does not give "house-elf" away). A charm's incantation is news after its name; so is an institution's proper name ("St Mungo's Hospital
for Magical Maladies"), although a commoner word of it stands in the prompt.

A prompt *asks about* the target where one of its references is a term of it. It *names* the target by an unambiguous term; where it asks
about it, also by a leading person ("Harry") or another rare name.

An ambiguous form is explicit where its company settles what is meant:

* it is the reference: a thing (no person), a rare name ("Lupin"), or a name that is uncommon and the first word of the answer;
* two different things of the target with capitals ("Seeker", "Snitch"), or two creatures or places after a prompt that names the target;
* the prompt names the target, and it is a rare name, several words with capitals ("the Great Hall"), a lesson ("Potions"), a leading
  person ("Ginny") or one who is asked for;
* the prompt asks about the target without naming it, and it is a rare name ("Professor ... Binns"); of a thing, or of a leading person,
  where the prompt is of the theme; a whole name, where the prompt is of films ("David Yates"); or two leading persons ("Harry and Ron").

A first name with a surname that the target does not know is somebody else ("Harry Tarrowby"). A name that is a star's or a town's as well
is accidental among words of astronomy or of its county. Names of the real world (a studio, a station) are never more than accidental,
unless they are a reference and the prompt names the target. A title ("Professor") in the prompt gives no name away; nor does a list of
lessons make another one news.
"""

import hashlib
import re
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path

from wordfreq import zipf_frequency

from hp_bench.judges.grades import LOST, Grade, Revealed, Verdict
from hp_bench.probes.rows import Probe
from hp_bench.text.degeneracy import degeneracy
from hp_bench.text.details import Clue, Details, near_misses
from hp_bench.text.spellings import Spellings
from hp_bench.text.terms import Lexicon, Occurrence, Term, fold, words

#: Raised whenever a grade could change.
VERSION = 5

_RANK: dict[Grade, int] = {"explicit": 3, "thematic": 2, "accidental": 1, "none": 0}

_TRACE = 4  # letters; shorter words ("of", "the", "Sir") are no trace of a term
_COMMON = 5.0  # Zipf frequency (log10 per billion words) from which a word is too common to be a trace: "house" 5.7, "Harry" 4.7
_RARE = 2.9  # Zipf frequency under which a name is rare: "Lupin" 2.5, "Ginny" 3.1; an expression's, under that of its rarest word
_VERY_RARE = 2.5  # the same for a thing, where the prompt does not name the target: "Squib" 2.3, "Nox" 2.9
_ORDINARY = 2.7  # Zipf frequency from which a word is in everybody's mouth: "potions" 2.9, "Quidditch" 2.6

#: Of the theme too; two of them with capitals settle each other where the prompt names the target.
_KINDS = ("creature", "place")

#: Titles, which are no trace of a person; words of a prompt about films; what makes a name somebody else's.
_LISTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))

_UNCOMMON = 3.5  # Zipf frequency under which a name that is asked for, and is the first word of the answer, is no luck: "Bloomsbury" 2.9
_PLACES = ("company", "location")
_REAL = (*_PLACES, "crew")  # types of what is in the real world, and in many other stories


class LexiconJudge:
    """Grades by the target's lexicon and references; `vocabulary` are further words that are not noise, for the degeneracy flag."""

    def __init__(self, lexicon: Lexicon, *, vocabulary: Collection[str] = ()) -> None:
        self.lexicon = lexicon
        self.name = f"lexicon-v{VERSION}-{_fingerprint(lexicon)}"
        self._spellings = Spellings(lexicon.terms)
        self._details = Details(lexicon.terms)
        self._prompts: dict[Probe, _Prompt] = {}
        self._has_own = any(term.scope == "idiosyncratic" for term in lexicon.terms)
        self._known = lexicon.words | set(vocabulary)

    def grade(self, items: Sequence[tuple[Probe, str | None]]) -> list[Verdict]:
        """One verdict per (probe, completion); deterministic."""
        return [LOST if text is None else self._grade(probe, text) for probe, text in items]

    def _grade(self, probe: Probe, completion: str) -> Verdict:
        broken = degeneracy(completion, known=self._known | set(words(probe.prompt)))
        evidence = self._evidence(probe, completion)
        grade: Grade = max((passage.grade for passage in evidence), key=_RANK.__getitem__, default="none")
        return Verdict(grade, degenerate=broken, revealed=tuple(evidence))

    def _evidence(self, probe: Probe, completion: str) -> list[Revealed]:
        """Passages that show familiarity, in reading order, none inside another of the same grade or better."""
        prompt = self._prompts.get(probe)
        if prompt is None:  # the same for every model of a curve
            prompt = self._prompts[probe] = _Prompt(probe, self.lexicon, self._spellings)
        seen = self.lexicon.find_overlapping(completion) + self._spellings.find(completion)
        settled = _settled(completion, [o for o in seen if not prompt.holds(o.term, o.form)], prompt)
        elsewhere = set() if prompt.names_target else _namesakes(f"{probe.prompt} {completion}")
        found: list[Revealed] = []
        for occurrence in seen:
            grade = self._grade_of(occurrence, prompt, completion)
            if grade == "accidental" and (occurrence.start, occurrence.end) in settled:
                grade = "explicit"
            if grade == "explicit" and fold(occurrence.form) in elsewhere:
                grade = "accidental"
            if grade != "none":
                found.append(_shown(completion, occurrence, occurrence.term.term, grade))
        for occurrence in Lexicon(prompt.references).find_overlapping(completion):
            if not prompt.holds(occurrence.term):
                proof = occurrence.form not in prompt.ordinary or (
                    occurrence.form in prompt.capital and _is_name(completion, occurrence.start, after=probe.prompt)
                )
                grade = "explicit" if proof else "accidental"
                found.append(_shown(completion, occurrence, occurrence.term.term, grade))
        if self._has_own:
            told = self._details.find(probe.prompt, completion)
            found += [_shown(completion, clue, clue.term, "explicit") for clue in told]
            for clue in near_misses(probe.prompt, completion, prompt.asked_for):
                span = (clue.start, clue.end)
                found = [other for other in found if other.grade != "thematic" or (other.start, other.end) != span]
                found.append(_shown(completion, clue, clue.term, "accidental"))
        found.sort(key=lambda passage: (-_RANK[passage.grade], passage.start - passage.end, passage.start))
        kept: list[Revealed] = []
        for passage in found:
            if all(passage.end <= other.start or passage.start >= other.end for other in kept):
                kept.append(passage)
        return sorted(kept, key=lambda passage: passage.start)

    def _grade_of(self, occurrence: Occurrence, prompt: "_Prompt", text: str) -> Grade:
        if occurrence.term.scope == "thematic":
            if occurrence.ambiguous:
                return "none" if prompt.holds(occurrence.term) else "accidental"
            return "none" if prompt.hints_at_theme else "thematic"
        if prompt.holds(occurrence.term, occurrence.form) or _is_another_word(occurrence, text):
            return "none"
        return "accidental" if occurrence.ambiguous else "explicit"


def _is_another_word(occurrence: Occurrence, text: str) -> bool:
    """Whether an ambiguous form that has capitals stands without them in a text that has some: "owl", "wood", "keeper"."""
    form, kind = occurrence.form, occurrence.term.type
    if not occurrence.ambiguous or not text[occurrence.start : occurrence.end].islower() or text.islower():
        return False
    return form.isupper() or (
        not form.islower() and (kind in ("person", "sport", "crew") or zipf_frequency(form, "en") >= _COMMON)
    )


class _Prompt:
    """What a prompt gives away."""

    def __init__(self, probe: Probe, lexicon: Lexicon, spellings: Spellings) -> None:
        self._lexicon = lexicon
        self._words = set(words(probe.prompt))
        found = lexicon.find_overlapping(probe.prompt) + spellings.find(probe.prompt)
        self._terms = [o for o in found if not _is_another_word(o, probe.prompt)]
        self._words -= {fold(o.form) for o in found if o not in self._terms}
        self._forms = {fold(occurrence.form) for occurrence in self._terms}
        owners = [owner for reference in probe.references if (owner := lexicon.owner(reference)) is not None]
        self.asks = any(owner.scope == "idiosyncratic" for owner in owners)
        self.names_target = any(
            o.term.scope == "idiosyncratic"
            and (not o.ambiguous or (self.asks and o.term.type == "person" and (o.term.leading or _is_rare(o.form))))
            for o in self._terms
        )
        self.names_lesson = any(o.term.type == "lesson" and o.form == o.term.term for o in found)
        self.hints_at_theme = self.names_target or self.names_lesson or any(not o.ambiguous for o in self._terms)
        self.is_of_films = self.asks and not self._words.isdisjoint(_LISTS["film"])
        people_asked_for = [owner.term for owner in owners if owner.type == "person"]
        self.asked_for = (*probe.references, *people_asked_for)
        self.wanted = folded = {fold(reference): reference for reference in probe.references}
        self.ordinary = {form for form in folded if len(words(form)) == 1 and zipf_frequency(form, "en") >= _ORDINARY}
        self.capital = {form for form, reference in folded.items() if reference[0].isupper()}
        self.references = [
            Term(term=form, type="reference", scope="idiosyncratic")
            for form in folded
            if not _merely_ambiguous(form, lexicon, names_target=self.names_target)
        ]

    def holds(self, term: Term, form: str = "") -> bool:
        """Whether the prompt names the term, wholly or in part; of a spell, or of a name with a rarer word, this form."""
        new = [word for word in words(form) if len(word) >= _TRACE and word not in self._words]
        if term.type == "spell" and new and len(new) == sum(len(word) >= _TRACE for word in words(form)):
            return fold(form) in self._forms
        forms = {fold(form) for form in term.forms}
        if forms & self._forms or any(form in self._words for form in forms):
            return True
        shared = {word for word in words(term.term) if len(word) >= _TRACE} & self._words
        traces = [word for word in shared if self._is_trace(word, term)]
        if traces and term.type not in ("person", *_REAL):
            rarest = min(zipf_frequency(word, "en") for word in traces)
            return all(zipf_frequency(word, "en") >= min(rarest, _RARE) for word in new)
        return bool(traces)

    def is_of_another_family(self, name: str, rest: str) -> bool:
        """Whether a first name goes on, in the text after it, with a surname that the target does not know: "Harry Tarrowby"."""
        surname = re.match(r" ([A-Z][a-z]{2,})", rest)
        return surname is not None and len(words(name)) == 1 and self._lexicon.owner(surname[1]) is None

    def _is_trace(self, word: str, term: Term) -> bool:
        owner = self._lexicon.owner(word)
        own = (owner is None or owner is term) and word not in _LISTS["titles"]
        return own and zipf_frequency(word, "en") < _COMMON


def _is_name(text: str, start: int, *, after: str) -> bool:
    """Whether the capital at `start` is a name's: not one that only begins a sentence. `after`: the text before, which is the prompt."""
    before = (after + text[:start]).rstrip(" \t\"'\u2018\u2019\u201c\u201d*_(")
    return text[start].isupper() and bool(before) and before[-1] not in ".!?:\n"


def _is_rare(name: str) -> bool:
    return zipf_frequency(name, "en") < _RARE


def _namesakes(text: str) -> set[str]:
    """Names that stand for something of the real world in this text."""
    folded = fold(text)
    found = [one for one in _LISTS["namesakes"] if re.search(rf"\b(?:{one['cue']})", folded)]
    return {name for one in found for name in one["names"]}


def _settled(completion: str, seen: Sequence[Occurrence], prompt: _Prompt) -> set[tuple[int, int]]:
    """Where the ambiguous forms stand whose company settles what is meant."""
    settled: set[tuple[int, int]] = set()
    capital: dict[str, list[Occurrence]] = {}
    for occurrence in seen:
        own = occurrence.term.scope == "idiosyncratic"
        if not occurrence.ambiguous or not (own or (prompt.names_target and occurrence.term.type in _KINDS)):
            continue
        text, span = completion[occurrence.start : occurrence.end], (occurrence.start, occurrence.end)
        form, kind = occurrence.form, occurrence.term.type
        person, thing = kind == "person", kind not in ("person", *_REAL)
        capitals = all(word[0].isupper() for word in re.findall(r"[^\W_]{4,}", text)) and any(map(str.isupper, text))
        if person and prompt.is_of_another_family(form, completion[occurrence.end :]):
            continue
        reference, frequency = prompt.wanted.get(fold(form)), zipf_frequency(form, "en")
        rare, whole, leading = frequency < _RARE and (person or thing), len(words(form)) > 1, occurrence.term.leading
        lesson = kind == "lesson" and form == occurrence.term.term and not prompt.names_lesson
        begins = prompt.asks and frequency < _UNCOMMON and not words(completion[: occurrence.start])
        asked_for = reference and (thing or rare or begins)
        named = rare or lesson or (whole and kind not in _PLACES) or (person and (leading or reference))
        hinted = leading or (rare and frequency < _VERY_RARE)
        if (reference and thing and reference.islower() and fold(reference) not in prompt.ordinary) or (
            capitals
            and (
                asked_for
                or (prompt.names_target and named)
                or (prompt.asks and rare and person and not whole)
                or (prompt.asks and prompt.hints_at_theme and hinted)
                or (prompt.is_of_films and whole and kind in ("person", "crew"))
            )
        ):
            settled.add(span)
        if capitals and ((thing and kind != "lesson") or (prompt.asks and occurrence.term.leading)):
            capital.setdefault(occurrence.term.term, []).append(occurrence)
    if len(capital) > 1:
        settled |= {(occurrence.start, occurrence.end) for found in capital.values() for occurrence in found}
    return settled


def _merely_ambiguous(form: str, lexicon: Lexicon, *, names_target: bool) -> bool:
    """Whether a reference is one ambiguous word: "Neville" may be luck, "the cupboard under the stairs" as the answer is not."""
    owner = lexicon.owner(form)
    if len(words(form)) > 1 and (owner is None or owner.type not in _REAL or names_target):
        return False
    return owner is not None and form in {fold(ambiguous) for ambiguous in owner.ambiguous}


def _shown(completion: str, at: Clue | Occurrence, term: str, grade: Grade) -> Revealed:
    return Revealed(completion[at.start : at.end], at.start, at.end, term, grade)


def _fingerprint(lexicon: Lexicon) -> str:
    lines = sorted(
        f"{t.term}|{t.scope}|{sorted(t.variants)}|{sorted(t.ambiguous)}|{sorted(t.details)}|{t.leading}"
        for t in lexicon.terms
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
