"""Familiarity and utility against optimiser steps: every checkpoint of a fine-tune, scored in one engine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hp_bench.results.curve import Curve
from hp_bench.results.scorecard import failures
from hp_bench.scoring.checkpoints import Checkpoint, log, method_name, named_baseline, points_of, score_checkpoints
from hp_bench.scoring.score import DEFAULT_TASKS, load_tasks


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
        options: of the engine: `device`, `dtype`, `batch_size`, `tokenizer`, `base`, and, in `arguments`, its own.

    Raises:
        ValueError: no checkpoint is there, a folder does not exist, or a task is unknown.
    """
    from hp_bench.engines.loader import EngineSettings, Loader

    given = [models] if isinstance(models, str | Path) else list(models)
    found = points_of(given)
    baseline = baseline if baseline is not None else named_baseline(given[0])
    points = [*([Checkpoint("baseline", str(baseline), 0)] if baseline is not None else []), *found]
    loaded = load_tasks(tasks, metadata)
    place = Path(out) if out is not None else None
    with Loader(EngineSettings(engine=engine, **options), [point.path for point in points]) as loader:
        scored = score_checkpoints(loader, loaded, points, out=place)
    for sentence in failures([one.card for one in scored]):
        log.error(sentence)
    made = Curve(name or method_name(given[0]), tuple(one.card for one in scored))
    if place is not None:
        draw([made], place)
    return made


def draw(curves: Sequence[Curve], out: Path) -> list[Path]:
    """Writes curve.png and curve.svg; no picture where no point has a number."""
    from hp_bench.report.figures import draw_curve, panels_of, save_figure

    if not any(m.value is not None for one in curves for point in one.points for m in point.measurements):
        return []
    if not panels_of([point for one in curves for point in one.points]):
        return []
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / "curve.png", out / "curve.svg"]
    for path in paths:
        save_figure(draw_curve(curves), path)
    return paths
