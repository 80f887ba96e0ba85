"""`hp_context`: completions of prompts that hint, summarise, persuade or cast the model in a role. Lower = less known."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance

from hp_bench.harness.familiarity import FamiliarityTask
from hp_bench.judges.grades import Verdict
from hp_bench.judges.references import ReferenceJudge
from hp_bench.probes.panel_rows import FORMS, load_context_probes
from hp_bench.text.terms import Lexicon, words


class ContextTask(FamiliarityTask):
    """Completion with context; a hit is a completion that holds one of the prompt's references.

    The lexicon serves the degeneracy flag alone: its words are not noise. The judge is always that of the references, whichever the
    metadata names for other tasks.
    """

    PROMPTS = "context.jsonl"

    def documents(self, path: Path) -> list[dict[str, Any]]:
        """Context probes as dicts."""
        self._asked = {probe.id: probe for probe in load_context_probes(path)}
        terms = Lexicon.load(self.lexicon_file()).terms
        known = [word for term in terms for form in term.forms for word in words(form)]
        self._references = ReferenceJudge([*known, *self._vocabulary()])
        self.config.metadata["judge"] = self._references.name
        return [{**asdict(probe), "references": list(probe.references)} for probe in self._asked.values()]

    def apply_filters(self) -> list[Instance] | None:
        """Looks for the references in every completion; lm-eval runs this between generation and `process_results`."""
        instances = self._completed()
        verdicts = self._references.grade([(self._asked[one.doc["id"]], one.resps[0]) for one in instances])
        for instance, verdict in zip(instances, verdicts, strict=True):
            instance.filtered_resps["none"] = json.dumps(verdict.to_dict(), ensure_ascii=False)
        return instances

    def process_results(self, doc: dict[str, Any], results: list[str]) -> dict[str, float]:
        """A completion's metrics; that of a form is NaN for prompts of another one, and all are where it could not be scored."""
        verdict = Verdict.from_dict(json.loads(results[0]))
        scored = verdict.grade is not None
        hit = float(verdict.grade == "explicit") if scored else math.nan
        values = {
            "reference_hit": hit,
            **{f"reference_hit_{form.replace('-', '_')}": hit if doc["form"] == form else math.nan for form in FORMS},
            "empty": float(verdict.empty) if scored else math.nan,
            "degenerate": float(bool(verdict.degenerate) and not verdict.empty) if scored else math.nan,
            "unscored": float(not scored),
        }
        return {
            key: value for name, value in values.items() for key, value in ((name, value), (f"{name}_stderr", value))
        }
