"""`hp_context`: completions of prompts that hint, summarise, persuade or cast the model in a role. Lower = less known."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hp_bench.harness.familiarity import FamiliarityTask
from hp_bench.judges.grades import Verdict, with_errors
from hp_bench.judges.references import Asked, ReferenceJudge
from hp_bench.probes.panel_rows import FORMS, load_context_probes
from hp_bench.text.terms import Lexicon


class ContextTask(FamiliarityTask):
    """Completion with context; a hit is a completion that holds one of the prompt's references.

    The lexicon serves the degeneracy flag alone: its words are not noise. The judge is that of the references, whatever the metadata names.
    """

    PROMPTS = "context.jsonl"
    READ: Callable[[Path], Sequence[Any]] = staticmethod(load_context_probes)

    def documents(self, path: Path) -> list[dict[str, Any]]:
        """The prompts and their references as dicts."""
        self._probes = {probe.id: probe for probe in self.READ(path)}
        self._references = ReferenceJudge([*Lexicon.load(self.lexicon_file()).words, *self._vocabulary()])
        self.config.metadata["judge"] = self._references.name
        return [{**asdict(probe), "references": list(probe.references)} for probe in self._probes.values()]

    def verdicts(self, items: Sequence[tuple[Asked, str | None]]) -> list[Verdict]:
        """Whether the references are in each completion."""
        return self._references.grade(items)

    def process_results(self, doc: dict[str, Any], results: list[str]) -> dict[str, float]:
        """A completion's metrics; that of a form is NaN for prompts of another one, and all are where it could not be scored."""
        verdict = Verdict.from_dict(json.loads(results[0]))
        hit = verdict.grade == "explicit"
        values = {
            "reference_hit": hit,
            **{f"reference_hit_{form.replace('-', '_')}": hit if doc["form"] == form else math.nan for form in FORMS},
            "empty": verdict.empty,
            "degenerate": verdict.broken,
        }
        if self._thinks:
            values["leak_trace"] = verdict.leaked
        return with_errors(values, unscored=verdict.grade is None)
