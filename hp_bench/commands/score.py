"""`hp-bench score`."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    from hp_bench.scoring.checkpoints import Checkpoint


def score(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Folder, hub id, id@revision, unmerged PEFT adapter, quantised model, or http://host:port/v1."
        ),
    ],
    baseline: Annotated[str, typer.Option(help="The model before unlearning: paired differences are against it.")] = "",
    tasks: Tasks = "hp_familiarity,hp_token_probability",
    engine: EngineName = "hf",
    out: Annotated[
        Path, typer.Option(help="Folder for scorecards and samples; what it holds already is not scored again.")
    ] = Path("scores"),
    metadata: Metadata = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    batch_size: BatchSize = 0,
    tokenizer: Tokenizer = "",
    base: Base = "",
    engine_arg: EngineArguments = None,
    as_json: Json = False,
) -> None:
    """Scores models: a scorecard each, and, against a baseline, paired differences. A model that fails does not lose the others."""
    from dataclasses import asdict

    from hp_bench.engines.loader import Loader
    from hp_bench.report.tables import differences_table, measurements_table
    from hp_bench.results.compare import broken, compare
    from hp_bench.results.scorecard import failures, to_json
    from hp_bench.scoring.checkpoints import score_checkpoints
    from hp_bench.scoring.score import load_tasks
    from hp_bench.scoring.store import require_same_model

    settings = engine_settings(engine, device, dtype, batch_size, tokenizer, base, engine_arg)
    points = _points(models, baseline)
    for point in points:
        require_same_model(point.name, point.path, out, base=settings.base)
    loaded = load_tasks(task_names(tasks), pairs(metadata, "--metadata"))
    gc.freeze()  # what the libraries brought along stays: to look through it after every model takes as long as a swap
    with Loader(settings, [point.path for point in points], one_kind=False) as loader:
        cards = [scored.card for scored in score_checkpoints(loader, loaded, points, out=out)]
    differences = compare(cards[0], cards[1:]) if baseline else []
    if as_json:
        import json

        content = {"scorecards": to_json(*cards), "differences": [asdict(one) for one in differences]}
        typer.echo(json.dumps(content, indent=1, ensure_ascii=False))
    else:
        from rich.console import Console

        console = Console()
        console.print(measurements_table(cards))
        if differences:
            console.print(differences_table(differences, cards[0].name))
    for card in cards:
        sentence = broken(card, cards[0] if baseline else None)
        if sentence:
            typer.echo(sentence, err=True)
    typer.echo(f"scorecards and samples are in {out}", err=True)
    finish(failures(cards))


def finish(sentences: list[str]) -> None:
    """Says what failed, one sentence each, and leaves with 1 if anything did."""
    for sentence in sentences:
        typer.echo(f"hp-bench: {sentence}", err=True)
    if sentences:
        raise typer.Exit(1)


def _points(models: list[str], baseline: str) -> list["Checkpoint"]:
    """Models with distinct names; a folder that does not exist is an error before anything is scored."""
    from hp_bench.engines.source import require_exists
    from hp_bench.scoring.checkpoints import Checkpoint
    from hp_bench.scoring.score import model_name

    given = [baseline, *(model for model in models if model != baseline)] if baseline else models
    for model in given:
        if not model.startswith(("http://", "https://")):
            require_exists(model)
    names = [model_name(model) for model in given]
    points: list[Checkpoint] = []
    for model, name in zip(given, names, strict=True):
        path = Path(model).resolve() if Path(model).is_dir() else Path(model)
        unique = name if names.count(name) == 1 else f"{path.parent.name}-{name}"
        while any(point.name == unique for point in points):
            unique += "-again"
        points.append(
            Checkpoint(
                "baseline" if baseline and model == baseline else unique,
                model,
                0 if baseline and model == baseline else None,
            )
        )
    return points
