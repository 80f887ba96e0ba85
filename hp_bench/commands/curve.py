"""`hp-bench curve`."""

import gc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hp_bench.commands.options import (
    Base,
    BatchSize,
    Device,
    Dtype,
    EngineArguments,
    EngineName,
    Json,
    Metadata,
    Tasks,
    Tokenizer,
    engine_settings,
    pairs,
    task_names,
)

if TYPE_CHECKING:
    from hp_bench.results.curve import Curve
    from hp_bench.results.scorecard import Scorecard
    from hp_bench.scoring.checkpoints import Checkpoint


def curve(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Folders with checkpoint-<steps> folders, one a method; or the models of one method, their names ending in their steps "
            "or written STEPS:MODEL."
        ),
    ],
    baseline: Annotated[
        str, typer.Option(help="What training began from, step 0; default: what a run directory names.")
    ] = "",
    name: Annotated[
        list[str] | None, typer.Option(help="Of the method; repeatable, in the order of the folders.")
    ] = None,
    tasks: Tasks = "hp_familiarity,hp_token_probability",
    engine: EngineName = "hf",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for scorecards, samples and figures; default: the run directory, of several ./curves."
        ),
    ] = None,
    metadata: Metadata = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    batch_size: BatchSize = 0,
    tokenizer: Tokenizer = "",
    base: Base = "",
    engine_arg: EngineArguments = None,
    as_json: Json = False,
) -> None:
    """Scores every checkpoint in one engine, weights swapped in place: curve.png, curve.svg, scorecards and a table."""
    from hp_bench.curves.curve import draw
    from hp_bench.engines.loader import Loader
    from hp_bench.engines.source import require_exists
    from hp_bench.results.curve import Curve
    from hp_bench.scoring.checkpoints import Checkpoint, named_baseline
    from hp_bench.scoring.score import load_tasks

    settings = engine_settings(engine, device, dtype, batch_size, tokenizer, base, engine_arg)
    if settings.engine == "endpoint":
        raise ValueError("a served model has no checkpoints: score it with `hp-bench score`")
    methods = _methods(models, name or [])
    start = baseline or next((found for m in methods if (found := named_baseline(m.models[0]))), "")
    if start:
        require_exists(start)
    loaded = load_tasks(task_names(tasks), pairs(metadata, "--metadata"))
    gc.freeze()  # what the libraries brought along stays: to look through it after every model takes as long as a swap
    place = out or (
        Path("curves") if len(methods) > 1 or len(methods[0].models) > 1 else _run_folder(methods[0].models[0])
    )
    zero = [Checkpoint("baseline", start, 0)] if start else []
    expected = [point.path for point in [*zero, *(p for m in methods for p in m.points)]]
    cards: dict[str, list[Scorecard]] = {method.name: [] for method in methods}
    with Loader(settings, expected) as loader:
        for where, card in _scored(loader, loaded, zero, methods, place):
            for method in methods if where is None else [methods[where]]:
                cards[method.name].append(card)
    curves = [Curve(key, _by_step(points)) for key, points in cards.items() if points]
    _show(curves, draw(curves, place), as_json)


@dataclass(frozen=True)
class _Method:
    """A method as the command line names it."""

    name: str
    models: list[str]
    prefix: str
    points: "list[Checkpoint]"


def _methods(models: list[str], names: list[str]) -> list[_Method]:
    from dataclasses import replace

    from hp_bench.scoring.checkpoints import is_model, method_name, points_of

    groups = [[model] for model in models] if not any(map(is_model, models)) else [models]
    if names and len(names) != len(groups):
        raise ValueError(f"--name was given {len(names)} times for {len(groups)} methods")
    titles = names or [method_name(group[0]) if len(group) == 1 else "method" for group in groups]
    if len(set(titles)) < len(titles):
        raise ValueError(
            f"two methods are called {next(t for t in titles if titles.count(t) > 1)!r}: name them (--name, once each)"
        )
    found = []
    for title, group in zip(titles, groups, strict=True):
        prefix = f"{title}/" if len(groups) > 1 else ""
        points = [replace(point, name=prefix + point.name) for point in points_of(group)]
        found.append(_Method(title, group, prefix, points))
    return found


def _scored(
    loader: Any, loaded: Mapping[str, Any], zero: "list[Checkpoint]", methods: list[_Method], place: Path
) -> "Iterator[tuple[int | None, Scorecard]]":
    """(number of the method, scorecard); None: the baseline's, which belongs to all."""
    from hp_bench.scoring.checkpoints import score_checkpoints

    owners = [None] * len(zero) + [number for number, method in enumerate(methods) for _ in method.points]
    points = [*zero, *(point for method in methods for point in method.points)]
    for owner, scored in zip(owners, score_checkpoints(loader, loaded, points, out=place), strict=True):
        yield owner, scored.card


def _by_step(points: "list[Scorecard]") -> "tuple[Scorecard, ...]":
    return tuple(sorted(points, key=lambda card: card.step or 0))


def _run_folder(model: str) -> Path:
    path = Path(model)
    return path.parent if path.resolve().name == "checkpoints" else path


def _show(curves: "list[Curve]", drawn: list[Path], as_json: bool) -> None:
    from dataclasses import asdict

    from hp_bench.commands.score import finish
    from hp_bench.report.tables import differences_table, scorecards_table
    from hp_bench.results.compare import broken, compare
    from hp_bench.results.scorecard import failures, to_json

    if not curves:
        raise ValueError("no checkpoint appeared")
    differences = {one.name: compare(one.points[0], one.points[1:]) for one in curves if one.points[0].step == 0}
    if as_json:
        import json

        content = [
            {
                "method": one.name,
                "points": to_json(*one.points),
                "differences": [asdict(d) for d in differences.get(one.name, [])],
            }
            for one in curves
        ]
        typer.echo(json.dumps(content, indent=1, ensure_ascii=False))
    else:
        from rich.console import Console

        console = Console()
        for one in curves:
            console.print(scorecards_table(one.points, title=one.name))
            if differences.get(one.name):
                console.print(differences_table(differences[one.name], one.points[0].name))
    for path in drawn:
        typer.echo(str(path), err=True)
    for one in curves:
        for card in one.points[1:]:
            sentence = broken(card, one.points[0] if one.points[0].step == 0 else None)
            if sentence:
                typer.echo(sentence, err=True)
    finish(list(dict.fromkeys(sentence for one in curves for sentence in failures(one.points))))
