"""A scorecard as the page that is published beside the weights: the hub's model-index, and the same numbers in words."""

import json
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from hp_bench.results.compare import broken
from hp_bench.results.metrics import METRICS
from hp_bench.results.scorecard import Measurement, Scorecard

_SOURCE = "hp-bench, after arXiv:2310.02238"


def model_card(card: Scorecard) -> str:
    """Markdown with the numbers as `model-index` metadata (EvalResult of huggingface_hub), intervals and counts in their `args`.

    A number that was not measured is left out; of a broken or silent model each says so. Raises ValueError: there is none at all.
    """
    measured = [m for m in card.measurements if m.value is not None]
    if not measured:
        raise ValueError(f"{card.name} has no number to be published")
    results = [_result(card, m) for m in measured]
    data: Any = ModelCardData(model_name=card.name, eval_results=results)
    lines = [f"- {_name(m)}, {m.task}: {m.value:.3f} [{m.low:.3f}, {m.high:.3f}] (n = {m.n})" for m in measured]
    said = [f"- {one}" for one in (broken(card), *card.manifest.findings, *card.failures.values()) if one]
    head = f"---\n{data.to_yaml()}\n---\n\n# What is left of the unlearn target"
    source = f"Measured by {_SOURCE}; 95 % intervals in brackets."
    return "\n\n".join([head, source, "\n".join(lines), *(["\n".join(said)] if said else [])]) + "\n"


def _result(card: Scorecard, m: Measurement) -> EvalResult:
    task = card.manifest.tasks.get(m.task)
    asked = {"prompts_sha256": task.prompts_sha256, "judge": task.judge} if task else {}
    decoding = json.loads(task.decoding) if task and task.decoding else {}
    said = {"broken": sentence} if (sentence := broken(card)) else {}
    return EvalResult(
        task_type="text-generation", dataset_type=m.task, dataset_name=m.task, dataset_revision=task.version if task else None,
        dataset_args={key: value for key, value in {**asked, **decoding}.items() if value not in ("", None)} or None,
        metric_type=m.metric, metric_name=_name(m), metric_value=m.value,
        metric_args={"low": m.low, "high": m.high, "n": m.n, "unscored": m.unscored, **said}, source_name=_SOURCE,
        source_url="https://arxiv.org/abs/2310.02238",
    )  # fmt: skip


def _name(m: Measurement) -> str:
    return f"{METRICS[m.metric].label}, {METRICS[m.metric].better} is better"
