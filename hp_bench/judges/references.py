"""The judge that looks for a prompt's own references and nothing else. Deterministic, offline."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from hp_bench.judges import Judge
from hp_bench.judges.grades import LOST, Revealed, Verdict
from hp_bench.probes.foreign import NO_REFERENCE
from hp_bench.probes.panel_rows import Cloze, ContextProbe
from hp_bench.probes.rows import Probe
from hp_bench.text.degeneracy import degeneracy
from hp_bench.text.refusals import refuses
from hp_bench.text.spellings import Spellings
from hp_bench.text.terms import Lexicon, Occurrence, Term, apart, words

#: Raised whenever a grade could change.
VERSION = 1

#: What has a prompt, and references, any of which is an answer.
Asked = Probe | Cloze | ContextProbe


class ReferenceJudge:
    """Explicit where one of the prompt's references stands in the completion as whole words, under whatever spelling; else none.

    `vocabulary` are lower-case words that are not noise, for the degeneracy flag.
    """

    def __init__(self, vocabulary: Collection[str] = ()) -> None:
        self.name = f"references-v{VERSION}"
        self._known = set(vocabulary)

    def grade(self, items: Sequence[tuple[Asked, str | None]]) -> list[Verdict]:
        """One verdict per (probe, completion). A completion of None (the engine failed) is unscored."""
        return [LOST if text is None else self._grade(probe, text) for probe, text in items]

    def _grade(self, probe: Asked, completion: str) -> Verdict:
        told = {word for text in (probe.prompt, *probe.references) for word in words(text)}
        found = occurrences(probe.references, completion)
        shown = tuple(Revealed(completion[o.start : o.end], o.start, o.end, o.form, "explicit") for o in found)
        broken = degeneracy(completion, known=self._known | told)
        return Verdict("explicit" if found else "none", degenerate=broken, revealed=shown)


def names_answer(probe: Probe, completion: str | None) -> bool | None:
    """Whether a completion holds one of the prompt's own references, under whatever spelling; what the prompt holds does not count.

    None where there is no answer to be named, or no completion.
    """
    if completion is None or probe.references == (NO_REFERENCE,):
        return None
    return any(not occurrences([one.form], probe.prompt) for one in occurrences(probe.references, completion))


def flagged(judge: Judge, items: Sequence[tuple[Probe, str | None]]) -> list[Verdict]:
    """A judge's verdicts, whether each completion names what its prompt asks for, and whether it refuses."""
    return [
        replace(verdict, named=names_answer(probe, text), refused=refuses(text or ""))
        for (probe, text), verdict in zip(items, judge.grade(items), strict=True)
    ]


def occurrences(references: Sequence[str], text: str) -> list[Occurrence]:
    """Where references stand in a text as whole words, in reading order, none inside another; as the lexicon judge finds its terms."""
    first, *others = dict.fromkeys(references)
    term = Term(term=first, type="reference", scope="idiosyncratic", variants=tuple(others))
    found = [*Lexicon([term]).find_overlapping(text), *Spellings([term]).find(text)]
    return apart(sorted(found, key=lambda occurrence: (occurrence.start, -occurrence.end)))
