"""Familiarity and utility against optimiser steps: every checkpoint of a fine-tune, scored in one engine."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonlines

from hp_bench.compare import require_comparable
from hp_bench.progress import progress_bars
from hp_bench.scorecard import Measurement, Scorecard
from hp_bench.scoring import Scored, fingerprint, score_engine


@dataclass(frozen=True)
class Checkpoint:
    """A model on a curve.

    Attributes:
        name: for tables and file names.
        path: model or adapter folder, or hub id.
        step: optimiser steps since the baseline; None for a model that is on no curve, such as a twin.
    """

    name: str
    path: str
    step: int | None = None


@dataclass(frozen=True)
class Curve:
    """A method's scorecards, in the order of their steps.

    Attributes:
        name: of the method.
        points: scorecards with a step; the first is the baseline's, step 0.
    """

    name: str
    points: tuple[Scorecard, ...]

    def __post_init__(self) -> None:
        steps = [point.step for point in self.points]
        if None in steps or steps != sorted(set(steps)):  # type: ignore[type-var]
            raise ValueError(f"curve {self.name!r}: its points need distinct, rising steps, not {steps}")
        require_comparable(self.points)

    def series(self, task: str, metric: str) -> list[tuple[int, Measurement]]:
        """(step, measurement) of the points that have that number."""
        return [
            (point.step or 0, m)
            for point in self.points
            for m in point.measurements
            if (m.task, m.metric) == (task, metric) and m.value is not None
        ]


def checkpoints_in(folder: Path | str) -> list[Checkpoint]:
    """The `checkpoint-<steps>` folders of a fine-tune, by steps.

    Raises:
        ValueError: there is none.
    """
    folder = Path(folder)
    found = [
        Checkpoint(path.name, str(path), int(match.group(1)))
        for path in folder.glob("checkpoint-*")
        if (match := re.fullmatch(r"checkpoint-(\d+)", path.name)) and path.is_dir()
    ]
    if not found:
        raise ValueError(f"{str(folder)!r} holds no checkpoint-<steps> folder")
    return sorted(found, key=lambda checkpoint: checkpoint.step or 0)


def score_checkpoints(
    engine: Any, loaded: Mapping[str, Any], checkpoints: Sequence[Checkpoint], *, out: Path | None = None
) -> list[Scored]:
    """Scores models one after the other in one engine, their weights swapped in place; tasks are built once.

    Args:
        engine: a `hp_bench.engines.Engine`.
        loaded: tasks, from `hp_bench.scoring.load_tasks`.
        checkpoints: what to score.
        out: folder for `scorecards/<name>.json` and `samples/<name>/<task>.jsonl`; a model whose finished scorecard is there already, with
            the same weights and tasks, is not scored again.
    """
    found: list[Scored] = []
    with progress_bars() as bars:
        row = bars.add_task("scoring models", total=len(checkpoints))
        for checkpoint in checkpoints:
            scored = _earlier(checkpoint, loaded, out)
            if scored is None:
                if str(engine.model) != checkpoint.path:
                    engine.swap(checkpoint.path)
                scored = score_engine(engine, loaded, name=checkpoint.name, step=checkpoint.step)
                if out is not None:
                    keep(scored, out)
            found.append(scored)
            bars.advance(row)
        bars.remove_task(row)
    return found


def keep(scored: Scored, out: Path) -> None:
    """Writes a scorecard and its samples; the scorecard last, so that one that exists is complete."""
    for task, samples in scored.samples.items():
        path = out / "samples" / scored.card.name / f"{task}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with jsonlines.open(path.with_suffix(".part"), "w") as lines:
            lines.write_all(_short(sample) for sample in samples)
        path.with_suffix(".part").replace(path)
    scored.card.save(out / "scorecards" / f"{scored.card.name}.json")


def load_samples(out: Path, name: str, task: str) -> list[dict[str, Any]]:
    """What `keep` wrote of a task's samples; empty if there are none."""
    path = out / "samples" / name / f"{task}.jsonl"
    if not path.exists():
        return []
    with jsonlines.open(path) as lines:
        return list(lines)


def _short(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A sample without what the prompt file holds already."""
    doc = sample["doc"]
    verdict = sample["filtered_resps"][0] if isinstance(sample["filtered_resps"][0], str) else None
    return {
        "id": str(doc.get("id", sample["doc_id"])), "prompt": doc.get("prompt", sample["arguments"][0][0]),
        "responses": [response[0] for response in sample["resps"]],
        **{key: doc[key] for key in ("kind", "subtlety", "topic") if key in doc},
        **({"verdict": json.loads(verdict)} if verdict and verdict.startswith("{") else {}),
    }  # fmt: skip


def _earlier(checkpoint: Checkpoint, loaded: Mapping[str, Any], out: Path | None) -> Scored | None:
    path = out / "scorecards" / f"{checkpoint.name}.json" if out is not None else None
    if path is None or not path.exists():
        return None
    card = Scorecard.load(path)
    same_tasks = set(card.manifest.tasks) == set(loaded["tasks"]) and all(
        card.manifest.tasks[name].version == str(task.VERSION) for name, task in loaded["tasks"].items()
    )
    same = card.manifest.fingerprint == fingerprint(checkpoint.path) != "" and same_tasks and not card.failures
    return Scored(card, {}) if same else None
