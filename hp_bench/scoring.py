"""Model -> scorecard, by lm-eval tasks."""

import hashlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hp_bench.metrics import METRICS, known
from hp_bench.progress import quiet_host
from hp_bench.resources import tasks_dir
from hp_bench.scorecard import Manifest, Measurement, Scorecard, TaskManifest, measure, measure_group, plain

log = logging.getLogger(__name__)

DEFAULT_TASKS = ("hp_familiarity", "hp_token_probability")
#: Folders of lm-eval's own tasks that ours build on; indexing all 14,000 would take ten seconds.
_HOST_FOLDERS = ("winogrande", "hellaswag", "piqa", "arc", "super_glue", "openbookqa")
_LIBRARIES = ("hp-bench", "lm_eval", "torch", "transformers", "tokenizers", "vllm")


def score(
    model: Any,
    *,
    tasks: Sequence[str] = DEFAULT_TASKS,
    metadata: Mapping[str, Any] | None = None,
    name: str | None = None,
    step: int | None = None,
    **options: Any,
) -> Scorecard:
    """Scores one model.

    Args:
        model: folder, hub id, or a live `transformers` model.
        tasks: lm-eval tasks, tags or groups; the default is the paper's two familiarity tests.
        metadata: run-time choices of the tasks, as `lm_eval --metadata`: another target's `prompts` and `lexicon`, a judge.
        name: for tables; default: the model's.
        step: optimiser steps, if the model is a checkpoint.
        options: of the engine: `device`, `dtype`, `batch_size`, `tokenizer`, `revision`.

    Raises:
        ValueError: a task is unknown, or the model cannot be loaded.
    """
    from hp_bench.engines.hf import HFEngine

    engine = HFEngine(model, **options)
    return score_engine(engine, load_tasks(tasks, metadata), name=name or Path(engine.model).name, step=step).card


def load_tasks(names: Sequence[str], metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Tasks by name, tag or group: what lm-eval's `TaskManager.load` returns. Takes milliseconds for ours and for `hp_utility`.

    Raises:
        ValueError: a name is unknown.
    """
    import lm_eval.tasks
    from lm_eval.tasks import TaskManager

    host = Path(lm_eval.tasks.__file__).parent
    quick = [tasks_dir(), *(host / folder for folder in _HOST_FOLDERS)]
    manager = TaskManager(include_defaults=False, include_path=quick, metadata=dict(metadata or {}))
    if any(name not in manager.all_tasks for name in names):
        manager = TaskManager(include_path=[tasks_dir()], metadata=dict(metadata or {}))
    unknown = [name for name in names if name not in manager.all_tasks]
    if unknown:
        import difflib

        near = difflib.get_close_matches(unknown[0], manager.all_tasks, n=3)
        ours = ", ".join(task for task in manager.all_tasks if task.startswith("hp_"))
        raise ValueError(
            f"unknown task {unknown[0]!r}; did you mean {' or '.join(near) or 'one of ours'}? Ours are {ours}"
        )
    return dict(manager.load(list(names)))


@dataclass(frozen=True)
class Scored:
    """A scorecard and what it was computed from.

    Attributes:
        card: the numbers.
        samples: task -> lm-eval's samples: prompt, raw completion or log-likelihoods, verdict.
    """

    card: Scorecard
    samples: Mapping[str, Sequence[Mapping[str, Any]]]


def score_engine(engine: Any, loaded: Mapping[str, Any], *, name: str, step: int | None = None) -> Scored:
    """Scores the model that an engine has loaded, one task after the other; a task that breaks off does not lose the others.

    Args:
        engine: a `hp_bench.engines.Engine`.
        loaded: from `load_tasks`.
        name: for tables.
        step: optimiser steps, if the model is a checkpoint.
    """
    from lm_eval.evaluator import evaluate

    measurements: list[Measurement] = []
    items: dict[str, list[str]] = {}
    values: dict[str, dict[str, list[float | None]]] = {}
    manifests: dict[str, TaskManifest] = {}
    failures: dict[str, str] = {}
    samples: dict[str, list[dict[str, Any]]] = {}
    for task_name, task in loaded["tasks"].items():
        _zero_shot(task)
        try:
            with quiet_host():
                results = evaluate(
                    engine.lm, {"tasks": {task_name: task}, "groups": {}, "group_map": {}}, bootstrap_iters=0
                )
            samples[task_name] = results["samples"][task_name]
            items[task_name], values[task_name] = _per_prompt(samples[task_name])
        except Exception as error:  # whatever an engine may die of: counted, never a score
            log.debug("%s broke off", task_name, exc_info=True)
            failures[task_name] = f"{type(error).__name__}: {error}"
            items[task_name] = [str(doc.get("id", number)) for number, doc in enumerate(task.eval_docs)]
            values[task_name] = {metric: [None] * len(items[task_name]) for metric in _metrics_of(task)}
        manifests[task_name] = _task_manifest(task, len(items[task_name]))
        broken = values[task_name].get("degenerate")
        degenerate = sum(value == 1 for value in broken) if broken else None
        measurements += [measure(task_name, m, v, degenerate=degenerate) for m, v in values[task_name].items()]
    for group_name, group in loaded.get("groups", {}).items():
        members = [m for m in measurements if m.task in group.child_names and m.metric == "acc"]
        if members:
            measurements.append(measure_group(group_name, "acc", members))
    card = Scorecard(
        name=name,
        step=step,
        measurements=tuple(measurements),
        items=items,
        values=values,
        failures=failures,
        manifest=Manifest(
            model=engine.model,
            engine=engine.name,
            dtype=engine.dtype,
            tasks=manifests,
            fingerprint=fingerprint(engine.model),
            versions=_versions(),
        ),
    )
    return Scored(card, samples)


def _zero_shot(task: Any) -> None:
    if task.get_config("num_fewshot") is None:
        task.set_config(key="num_fewshot", value=0)
    task.set_fewshot_seed(seed=1234)


def _metrics_of(task: Any) -> list[str]:
    return list(known(dict.fromkeys(task.aggregation())))


def _per_prompt(samples: Sequence[Mapping[str, Any]]) -> tuple[list[str], dict[str, list[float | None]]]:
    """Prompt ids and, by metric, one value a prompt."""
    ordered = sorted(samples, key=lambda sample: sample["doc_id"])
    ids = [str(sample["doc"].get("id", sample["doc_id"])) for sample in ordered]
    names = known(dict.fromkeys(ordered[0]["metrics"]))
    return ids, {name: [plain(float(sample[name])) for sample in ordered] for name in names}


def _task_manifest(task: Any, n: int) -> TaskManifest:
    config, metadata = task.config, task.config.metadata or {}
    decoding = json.dumps(config.generation_kwargs, sort_keys=True) if config.output_type == "generate_until" else ""
    return TaskManifest(
        version=str(task.VERSION),
        n=n,
        prompts_sha256=metadata.get("prompts_sha256", ""),
        judge=metadata.get("judge", ""),
        decoding=decoding,
        num_fewshot=int(config.num_fewshot or 0),
    )


def fingerprint(model: str) -> str:
    """Short digest of a model folder's weight files: names, sizes, and the first and last MiB of each. "" for a hub id."""
    folder = Path(model)
    files = (
        sorted(path for path in folder.glob("*") if path.suffix in (".safetensors", ".bin")) if folder.is_dir() else []
    )
    if not files:
        return ""
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as stream:
            digest.update(stream.read(1 << 20))
            stream.seek(max(0, size - (1 << 20)))
            digest.update(stream.read())
    return digest.hexdigest()[:16]


def _versions() -> dict[str, str]:
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def describe(measurement: Measurement) -> str:
    """A measurement for a table: value and interval, or why there is none."""
    if measurement.value is None:
        return f"failed ({measurement.unscored} unscored)"
    digits = 3 if METRICS[measurement.metric].high <= 1 or math.isclose(measurement.value, 0) else 2
    return f"{measurement.value:.{digits}f} [{measurement.low:.{digits}f}, {measurement.high:.{digits}f}]"
