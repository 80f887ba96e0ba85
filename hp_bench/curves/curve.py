"""Familiarity and utility against optimiser steps: every checkpoint of a fine-tune, scored in one engine."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hp_bench.engines.loader import EngineSettings, Loader
from hp_bench.results.curve import Curve
from hp_bench.results.scorecard import failures
from hp_bench.scoring.checkpoints import Checkpoint, is_model, method_name, named_baseline, points_of
from hp_bench.scoring.models import score_checkpoints
from hp_bench.scoring.score import DEFAULT_TASKS, load_tasks
from unlearn.files import find_model

log = logging.getLogger(__name__)


def curve(
    models: str | Path | Sequence[str | Path],
    *,
    baseline: str | Path | None = None,
    tasks: Sequence[str] = DEFAULT_TASKS,
    metadata: Mapping[str, Any] | None = None,
    name: str | None = None,
    out: str | Path | None = None,
    engine: str = "hf",
    **options: Any,
) -> Curve:
    """Scores every checkpoint of a fine-tune in one engine; what `hp-bench curve` does.

    A checkpoint that cannot be loaded is a point without numbers, its `failures` saying why; the others are not lost.

    Args:
        models: folder with `checkpoint-<steps>` folders (a run directory, a Trainer's output folder), or models whose names end in their
            optimiser steps, or that are written `<steps>:<model>`.
        baseline: what training began from, step 0; default: what the run directory names, if it is one.
        tasks: as for `score`.
        metadata: as for `score`.
        name: of the method; default: the folder's.
        out: folder for scorecards, samples, curve.png and curve.svg; what it holds already is not scored again. None: nothing is kept.
        engine: hf or vllm.
        options: of the engine: `device`, `dtype`, `batch_size`, `tokenizer`, `base`, and its own.

    Raises ValueError: no checkpoint is there, a folder does not exist, or a task is unknown.
    """
    given = [models] if isinstance(models, str | Path) else list(models)
    (made,) = curves(
        {name or method_name(given[0]): given}, load_tasks(tasks, metadata), EngineSettings.of(engine, options),
        baseline=baseline, out=out,
    )  # fmt: skip
    for sentence in failures(made.points):
        log.error(sentence)
    if out is not None:
        draw([made], Path(out))
    return made


def methods_of(models: Sequence[str], names: Sequence[str] = ()) -> dict[str, list[str]]:
    """Method -> its models: each folder of checkpoints is a method; models alone are the points of one.

    Raises ValueError: there are more or fewer names than methods, or two are the same.
    """
    groups = [list(models)] if any(map(is_model, models)) else [[model] for model in models]
    if names and len(names) != len(groups):
        raise ValueError(f"--name was given {len(names)} times for {len(groups)} methods")
    titles = list(names) or [method_name(group[0]) if len(group) == 1 else "method" for group in groups]
    for title in titles:
        if titles.count(title) > 1:
            raise ValueError(f"two methods are called {title!r}: name them (--name, once each)")
    return dict(zip(titles, groups, strict=True))


def curves(
    methods: Mapping[str, Sequence[str | Path]],
    loaded: Mapping[str, Any],
    settings: EngineSettings,
    *,
    baseline: str | Path | None = None,
    out: str | Path | None = None,
) -> list[Curve]:
    """The curves of several methods, scored one after the other in one engine; the baseline is the first point of all.

    Args:
        methods: name -> models, each as `curve` takes them. Of several, scorecards are called `<method>/<checkpoint>`.
        loaded: tasks, from `hp_bench.scoring.score.load_tasks`.
        settings: of the engine.
        baseline: as in `curve`.
        out: folder for scorecards and samples.

    Raises ValueError: as `curve`; or the model is served.
    """
    if settings.engine == "endpoint":
        raise ValueError("a served model has no checkpoints: score it with `hp-bench score`")
    points = {name: points_of(given) for name, given in methods.items()}
    if len(points) > 1:
        points = {key: [replace(point, name=f"{key}/{point.name}") for point in own] for key, own in points.items()}
    start = baseline or next((named for given in methods.values() if (named := named_baseline(given[0]))), None)
    first = [Checkpoint("baseline", find_model(start), 0)] if start else []
    everything = [*first, *(point for own in points.values() for point in own)]
    with Loader(settings, [point.path for point in everything]) as loader:
        scores = score_checkpoints(loader, loaded, everything, out=out)
    cards = {point.name: scored.card for point, scored in zip(everything, scores, strict=True)}
    return [Curve(name, tuple(cards[point.name] for point in [*first, *own])) for name, own in points.items()]


def draw(curves: Sequence[Curve], out: Path) -> list[Path]:
    """Writes curve.png and curve.svg; no picture where no point has a number."""
    from hp_bench.report.figures import draw_curve, panels_of, save_figures

    points = [point for one in curves for point in one.points]
    if not panels_of(points) or all(m.value is None for point in points for m in point.measurements):
        return []
    return save_figures({"curve": draw_curve(curves)}, out)
