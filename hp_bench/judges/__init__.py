"""Judges: what turns a completion into a grade. `lexicon` needs no model, no key and no network."""

from collections.abc import Sequence
from typing import Protocol

from hp_bench.judges.grades import Verdict
from hp_bench.probes.rows import Probe


class Judge(Protocol):
    """Grades completions.

    Attributes:
        name: identifies the judge, its rubric and its version: part of a score's provenance, so equal names must mean equal grades.
    """

    name: str

    def grade(self, items: Sequence[tuple[Probe, str | None]]) -> list[Verdict]:
        """One verdict per (probe, completion), in order. A completion of None (the engine failed) is unscored."""
        ...
