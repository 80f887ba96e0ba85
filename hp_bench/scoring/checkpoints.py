"""The checkpoints of a fine-tune: found in folders, and scored one after the other in one engine."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from hp_bench.results.scorecard import Scorecard
from hp_bench.scoring.score import Scored, failed, score_engine
from hp_bench.scoring.store import keep, keep_known, keep_part, scored_earlier
from unlearn.progress import progress_bars

log = logging.getLogger(__name__)


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


def checkpoints_in(folder: Path | str) -> list[Checkpoint]:
    """The `checkpoint-<steps>` folders of a fine-tune, by steps; a run directory's are in its `checkpoints`.

    Raises:
        ValueError: there is none.
    """
    found = _checkpoints(Path(folder))
    if not found:
        raise ValueError(f"{str(folder)!r} holds no checkpoint-<steps> folder")
    return sorted(found, key=lambda checkpoint: checkpoint.step or 0)


def is_model(path: str | Path) -> bool:
    """Whether a name is one model's, rather than that of a folder of checkpoints; a Trainer's output folder may look like both."""
    folder = Path(path)
    settings = any((folder / name).is_file() for name in ("config.json", "adapter_config.json"))
    return not folder.is_dir() or (settings and not _checkpoints(folder))


def _checkpoints(folder: Path) -> list[Checkpoint]:
    place = folder / "checkpoints" if (folder / "checkpoints").is_dir() else folder
    return [
        Checkpoint(path.name, str(path), int(match.group(1)))
        for path in place.glob("checkpoint-*")
        if (match := re.fullmatch(r"checkpoint-(\d+)", path.name)) and path.is_dir()
    ]


def points_of(models: Sequence[str | Path]) -> list[Checkpoint]:
    """A method's points: a folder's checkpoints, or models that carry their steps.

    Raises:
        ValueError: a folder does not exist, a model's steps are unknown, or two have the same.
    """
    from hp_bench.engines.source import require_exists

    if len(models) == 1 and not is_model(models[0]):
        return checkpoints_in(models[0])
    points = []
    for model in map(str, models):
        steps, separator, path = model.partition(":")
        if not (separator and steps.isdigit()):
            path = model
            match = re.search(r"(\d+)/?$", model)
            if match is None:
                require_exists(model)
                raise ValueError(
                    f"how many optimiser steps is {model!r}? Its name does not end in a number: write <steps>:{model}"
                )
            steps = match.group(1)
        require_exists(path)
        points.append(Checkpoint(Path(path).name, path, int(steps)))
    points.sort(key=lambda point: point.step or 0)
    for one, other in pairwise(points):
        if one.step == other.step:
            raise ValueError(f"{one.path!r} and {other.path!r} are both at step {one.step}")
    return points


def named_baseline(folder: str | Path) -> str | None:
    """The baseline that a run directory's recipe names; None if the folder is none."""
    for place in (Path(folder), Path(folder).parent):
        path = place / "recipe.yaml"
        if path.is_file():
            import yaml

            content = yaml.safe_load(path.read_text(encoding="utf-8"))
            found = content.get("model") if isinstance(content, dict) else None
            return str(found) if found else None
    return None


def method_name(folder: str | Path) -> str:
    """A method's name: its folder's, or, of `run/checkpoints`, the run's."""
    path = Path(folder).resolve() if Path(folder).exists() else Path(folder)
    return path.parent.name if path.name == "checkpoints" else path.name


def score_checkpoints(
    engine: Any, loaded: Mapping[str, Any], checkpoints: Sequence[Checkpoint], *, out: Path | None = None
) -> list[Scored]:
    """Scores models one after the other in one engine, their weights swapped in place; tasks are built once.

    Args:
        engine: a `hp_bench.engines.Engine`, or a `hp_bench.engines.loader.Loader`.
        loaded: tasks, from `hp_bench.scoring.score.load_tasks`.
        checkpoints: what to score.
        out: folder for `scorecards/<name>.json` and `samples/<name>/<task>.jsonl`; a task that is there already, of the same weights in
            the same type and engine, and asked in the same way, is not asked again.

    Returns:
        One for each checkpoint; its samples only where `out` is None, so that memory does not grow with the checkpoints. One that could
        not be loaded has a scorecard without numbers, whose `failures` say why.
    """
    found: list[Scored] = []
    with progress_bars() as bars:
        row = bars.add_task("scoring models", total=len(checkpoints))
        for checkpoint in checkpoints:
            scored = score_one(engine, loaded, checkpoint, out=out)
            found.append(scored if out is None else replace(scored, samples={}))
            bars.advance(row)
        bars.remove_task(row)
    return found


def score_one(engine: Any, loaded: Mapping[str, Any], checkpoint: Checkpoint, *, out: Path | None = None) -> Scored:
    """Scores one model, or takes what is known of it; see `score_checkpoints`."""
    from hp_bench.engines.loader import Loader

    name, step = checkpoint.name, checkpoint.step
    base = engine.settings.base if isinstance(engine, Loader) else None
    earlier = scored_earlier(name, checkpoint.path, loaded, out, engine, base=base) if out is not None else None
    if out is not None and earlier is not None and set(earlier.manifest.tasks) == set(loaded["tasks"]):
        return _kept(earlier, step, out)
    try:
        holding = engine(checkpoint.path) if isinstance(engine, Loader) else _swapped(engine, checkpoint.path)
    except (ValueError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())
        log.debug("%s: %s", name, reason)
        kind = engine.settings.engine_of(checkpoint.path) if isinstance(engine, Loader) else engine.name
        scored = failed(loaded, reason, name=name, model=checkpoint.path, engine=kind, step=step)
    else:
        if out is not None and holding is not engine:  # only now is the type of its weights known for certain
            earlier = scored_earlier(name, checkpoint.path, loaded, out, holding, base=base)
            if earlier is not None and set(earlier.manifest.tasks) == set(loaded["tasks"]):
                return _kept(earlier, step, out)
        part = None if out is None else lambda scored: keep_part(scored, out)
        scored = score_engine(holding, loaded, name=name, step=step, earlier=earlier, finished=part, base=base)
    if out is not None:
        keep(scored, out)
    return scored


def _kept(card: Scorecard, step: int | None, out: Path) -> Scored:
    card = replace(card, step=step)
    keep_known(card, out)
    return Scored(card)


def _swapped(engine: Any, path: str) -> Any:
    if str(engine.model) != path:
        engine.swap(path)
    return engine
