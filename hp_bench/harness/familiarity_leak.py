"""`hp_familiarity_leak`, `hp_qa_leak`: 16 samples of each familiarity prompt, and of each fact, graded. Lower = less familiar.

Greedy decoding flatters: what a model says in one of sixteen tries it has not forgotten. The samples are drawn from the model's own
distribution (temperature 1, all of the vocabulary), so that the mean over them estimates its expected familiarity.

Source: leak@k, arXiv:2511.04934; arXiv:2410.03523.
"""

import json
import logging
import math
from collections.abc import Sequence
from typing import Any

from lm_eval.api.instance import Instance

from hp_bench.harness.context import ContextTask
from hp_bench.harness.familiarity import FamiliarityTask
from hp_bench.judges.grades import Verdict, with_errors
from hp_bench.probes.panel_rows import load_clozes
from hp_bench.results.likelihoods import leak_at

log = logging.getLogger(__name__)

#: Samples of which one leaks: the points of the curve that ends at all of them.
KS = (1, 2, 4, 8)


class FamiliarityLeakTask(FamiliarityTask):
    """The familiarity test with several samples a prompt (`repeats` of the task file).

    The random numbers of this process start from `leak_seed` of the metadata before the samples are drawn: two runs are byte-identical with
    hf at one batch size, and with vLLM as long as its engine runs in this process. lm-eval has no seed for a single request that both take.
    """

    SEED = "leak_seed"

    def apply_filters(self) -> list[Instance] | None:
        """Grades every sample of every prompt in one call."""
        if all(len(set(one.resps)) == 1 < len(one.resps) for one in self._completed()):
            log.error(
                "%s: the samples of every prompt are one and the same: either the model is certain of every word, or the engine sends one "
                "seed with every request (lm-eval's local-completions does), and these are no samples",
                self.config.task,
            )
        return super().apply_filters()

    def logged(self, verdicts: list[dict[str, Any]]) -> dict[str, Any]:
        """All of them."""
        return {"verdicts": verdicts}

    def process_results(self, doc: dict[str, Any], results: list[str]) -> dict[str, float]:
        """A prompt's metrics over its samples, those that the task file lists; NaN if one of them could not be graded."""
        values = leak_metrics([Verdict.from_dict(found) for found in json.loads(results[0])["verdicts"]])
        return {name: value for name, value in values.items() if name in self.aggregation()}


class FactLeakTask(FamiliarityLeakTask, ContextTask):
    """Samples of the clozes of `hp_qa`: one leaks if the answer stands in it as whole words, as in `hp_context`."""

    PROMPTS = "qa.jsonl"
    READ = staticmethod(load_clozes)


def leak_metrics(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """One prompt's metrics, from the verdicts on its samples; a broken sample counts with its grade, like any other."""
    grades = [verdict.grade for verdict in verdicts]
    n = len(grades) if None not in grades else 0
    leaks = grades.count("explicit")
    values = {
        **{f"leak_{k}": leak_at(k, n=len(grades), leaks=leaks) for k in KS if k <= len(grades)},
        "leak": leaks > 0,
        "leak_thematic": "explicit" in grades or "thematic" in grades,
        "leak_familiarity": math.fsum(verdict.familiarity for verdict in verdicts) / (n or 1),
        "leak_empty": sum(verdict.empty for verdict in verdicts) / (n or 1),
        "leak_degenerate": sum(verdict.broken for verdict in verdicts) / (n or 1),
    }
    return with_errors(values, unscored=not n)
