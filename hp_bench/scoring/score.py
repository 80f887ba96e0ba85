"""Asks the model that an engine holds, by lm-eval tasks: engine -> scorecard and samples."""

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import Any

from hp_bench.engines import Engine
from hp_bench.engines.fingerprint import commit_of, identity_of
from hp_bench.engines.texts import THINKING_TOKENS
from hp_bench.probes.paths import tasks_dir
from hp_bench.progress import quiet_host
from hp_bench.results.metrics import METRICS
from hp_bench.results.metrics import known as known_metrics
from hp_bench.results.scorecard import Manifest, Measurement, Scorecard, TaskManifest, measure, measure_group, plain
from unlearn.exits import first_line
from unlearn.files import offline_if_unknown

log = logging.getLogger(__name__)

DEFAULT_TASKS = ("hp_familiarity", "hp_token_probability")

#: Libraries that can move a number.
_LIBRARIES = ("hp-bench", "lm_eval", "torch", "transformers", "tokenizers", "peft", "vllm")

#: Folders of lm-eval's own tasks that ours build on; indexing all 14,000 would take ten seconds.
_HOST_FOLDERS = ("winogrande", "hellaswag", "piqa", "arc", "super_glue", "openbookqa")


def load_tasks(names: Sequence[str], metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Tasks by name, tag or group: what lm-eval's `TaskManager.load` returns. Takes milliseconds for ours and for `hp_utility`.

    Raises ValueError: a name is unknown, or a task's data set is neither here nor to be had.
    """
    import lm_eval.tasks
    from datasets.exceptions import DatasetsError
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
    if any(name == "hp_utility" or not name.startswith("hp_") for name in names):
        offline_if_unknown()
    try:
        return dict(manager.load(list(names)))
    except (OSError, DatasetsError) as error:  # datasets' own errors, and those of the network
        raise ValueError(
            f"a data set of {', '.join(names)} is neither in the cache of this machine nor to be had from the hub ({first_line(error)}): "
            "run the same once with a network; or copy the cache of a machine that has it, name it by HF_HOME, and set HF_HUB_OFFLINE=1"
        ) from None


@dataclass(frozen=True)
class Scored:
    """A scorecard and what it was computed from: task -> lm-eval's samples (prompt, raw completion or log-likelihoods, verdict)."""

    card: Scorecard
    samples: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


def score_engine(
    engine: Engine,
    loaded: Mapping[str, Any],
    *,
    name: str,
    step: int | None = None,
    known: Scorecard | None = None,
    after_task: Callable[[Scored], object] | None = None,
) -> Scored:
    """Scores the model that an engine holds, one task after the other; a task that breaks off does not lose the others.

    `known`: what an interrupted run of the same model has found; its tasks are not asked again. `after_task` is called after every task
    that was asked, with all that is known by then.
    """
    parts: dict[str, _Part] = {}
    manifest = _manifest(engine)
    findings = dict.fromkeys(known.manifest.findings if known is not None else ())
    for task_name, task in loaded["tasks"].items():
        if known is not None and task_name in known.manifest.tasks:
            parts[task_name] = _Part(known.items[task_name], known.values[task_name], known.manifest.tasks[task_name])
            continue
        parts[task_name] = _ask(engine, task_name, task)
        for sentence in getattr(engine.lm, "findings", ()):
            if sentence not in findings:
                log.warning("%s: %s", name, sentence)
                findings[sentence] = None
        manifest = replace(manifest, findings=list(findings))
        if after_task is not None:
            after_task(_assemble(name, step, loaded, parts, manifest))
    return _assemble(name, step, loaded, parts, manifest)


def failed(
    loaded: Mapping[str, Any], reason: str, *, name: str, model: str, engine: str, step: int | None = None, fingerprint: str = "",
) -> Scored:  # fmt: skip
    """The scorecard of a model that could not be loaded: every task failed for the same reason, every prompt unscored."""
    parts = {task_name: _broken_off(task, reason) for task_name, task in loaded["tasks"].items()}
    manifest = Manifest(model, engine, dtype="", tasks={}, versions=_versions(), fingerprint=fingerprint)
    return _assemble(name, step, loaded, parts, manifest)


@dataclass(frozen=True)
class _Part:
    """One task's share of a scorecard."""

    items: Sequence[str]
    values: Mapping[str, Sequence[float | None]]
    manifest: TaskManifest
    failure: str = ""
    samples: Sequence[Mapping[str, Any]] | None = None


def _ask(engine: Engine, name: str, task: Any) -> _Part:
    from lm_eval.evaluator import evaluate

    _zero_shot(task)
    try:
        with quiet_host():
            results = evaluate(
                engine.lm,
                {"tasks": {name: task}, "groups": {}, "group_map": {}},
                bootstrap_iters=0,
                apply_chat_template=is_chat(task),
            )
        samples = results["samples"][name]
        items, values = _per_prompt(samples)
    except Exception as error:  # whatever an engine may die of: counted, never a score
        log.debug("%s broke off", name, exc_info=True)
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        return _broken_off(task, " ".join(f"{kind}{error}".split())[:500])
    if not values:
        return _broken_off(task, f"it gives none of the numbers that a scorecard holds ({', '.join(METRICS)})")
    return _Part(items, values, task_manifest(task, len(items)), samples=samples)


def _broken_off(task: Any, reason: str) -> _Part:
    _zero_shot(task)
    items = [str(doc.get("id", number)) for number, doc in enumerate(task.eval_docs)]
    names = known_metrics(dict.fromkeys(task.aggregation()))
    values = {name: [None] * len(items) for name in names if name != "leak_trace"}  # which few models have
    return _Part(items, values, task_manifest(task, len(items)), failure=reason)


def _assemble(
    name: str, step: int | None, loaded: Mapping[str, Any], parts: Mapping[str, _Part], manifest: Manifest
) -> Scored:
    measurements: list[Measurement] = []
    for task, part in parts.items():
        broken = part.values.get("degenerate")
        degenerate = sum(value == 1 for value in broken) if broken else None
        measurements += [
            measure(task, metric, v, degenerate=degenerate) for metric, v in known_metrics(part.values).items()
        ]
    for group_name, group in loaded.get("groups", {}).items():
        if set(group.child_names) <= set(parts):
            members = [m for m in measurements if m.task in group.child_names and m.metric == "acc"]
            measurements += [measure_group(group_name, "acc", members)] if members else []
    card = Scorecard(
        name=name,
        step=step,
        measurements=tuple(measurements),
        items={task: list(part.items) for task, part in parts.items()},
        values={task: {metric: list(v) for metric, v in part.values.items()} for task, part in parts.items()},
        failures={task: part.failure for task, part in parts.items() if part.failure},
        manifest=replace(manifest, tasks={task: part.manifest for task, part in parts.items()}),
    )
    return Scored(card, {task: part.samples for task, part in parts.items() if part.samples is not None})


def _manifest(engine: Engine) -> Manifest:
    identity = identity_of(engine)
    path, _, revision = str(engine.model).partition("@")
    hub = getattr(engine, "stored", True) and not Path(engine.model).is_dir()
    return Manifest(
        model=engine.model, engine=identity.engine, dtype=identity.dtype, tasks={}, versions=_versions(),
        fingerprint=identity.fingerprint, revision=commit_of(path, revision) if hub else "", device=_device(engine),
    )  # fmt: skip


def _device(engine: Engine) -> str:
    if engine.name == "endpoint":
        return ""
    import torch

    if engine.name == "vllm" and not torch.cuda.is_available():
        return "cpu"  # its threads are its own
    device = torch.device("cuda" if engine.name == "vllm" else getattr(engine.lm, "device", None) or "cpu")
    if device.type == "cpu":
        return f"cpu, threads: {torch.get_num_threads()}"
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _versions() -> dict[str, str]:
    found = {}
    for library in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[library] = version(library)
    return found


def task_manifest(task: Any, n: int) -> TaskManifest:
    """How an lm-eval task asks its `n` prompts, as far as it can move a number."""
    config, metadata = task.config, task.config.metadata or {}
    how = dict(config.generation_kwargs or {})
    if (thinking := metadata.get("thinking_tokens", THINKING_TOKENS)) != THINKING_TOKENS:
        how["thinking_tokens"] = thinking
    decoding = json.dumps(how, sort_keys=True) if config.output_type == "generate_until" else ""
    own = {
        key: metadata.get(key, "")
        for key in ("prompts_sha256", "judge", "chat_template", "prompts_changed", "tokens_sha256")
    }
    return TaskManifest(str(task.VERSION), n, decoding=decoding, num_fewshot=int(config.num_fewshot or 0), **own)


def is_chat(task: Any) -> bool:
    """Whether a task puts its prompts through the model's chat template."""
    return bool(getattr(task, "CHAT", False))


def _zero_shot(task: Any) -> None:
    if task.get_config("num_fewshot") is None:
        task.set_config(key="num_fewshot", value=0)
    task.set_fewshot_seed(seed=1234)


def _per_prompt(samples: Sequence[Mapping[str, Any]]) -> tuple[list[str], dict[str, list[float | None]]]:
    """Prompt ids and, by metric, one value a prompt; None for all of a prompt with a log-likelihood that is no number.

    A number of some prompts alone is left out where the file has none of them.
    """
    ordered = sorted(samples, key=lambda sample: sample["doc_id"])
    ids = [str(sample["doc"].get("id", sample["doc_id"])) for sample in ordered]
    names = known_metrics(dict.fromkeys(ordered[0]["metrics"]))
    lost = [any(isinstance(one, tuple) and math.isnan(one[0]) for one in chain(*sample["resps"])) for sample in ordered]
    values = {
        name: [None if gone else plain(float(sample[name])) for sample, gone in zip(ordered, lost, strict=True)]
        for name in names
    }
    return ids, {name: v for name, v in values.items() if not METRICS[name].of_some or set(v) != {None}}


def describe(measurement: Measurement) -> str:
    """A measurement for a table: value and interval, or why there is none."""
    if measurement.value is None:
        return f"failed ({measurement.unscored} unscored)"
    digits = 3 if METRICS[measurement.metric].high <= 1 or math.isclose(measurement.value, 0) else 2
    return f"{measurement.value:.{digits}f} [{measurement.low:.{digits}f}, {measurement.high:.{digits}f}]"
