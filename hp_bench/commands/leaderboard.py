"""`hp-bench leaderboard`."""

from pathlib import Path
from typing import Annotated

import typer

from hp_bench.commands.options import Json
from hp_bench.progress import quiet_libraries


def leaderboard(
    out: Annotated[
        Path, typer.Option(help="Folder for models, numbers and table; what it holds already is kept.")
    ] = Path("runs/leaderboard"),
    seeds: Annotated[
        list[int] | None, typer.Option(help="Of the miniatures; repeatable. Default: 1, 2 and 3.", min=0)
    ] = None,
    rows: Annotated[list[str] | None, typer.Option(help="Name of a row; repeatable. Default: all.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="The rows. Default: recipes/leaderboard.yaml of this package.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Seed 1 alone.")] = False,
    choose: Annotated[
        bool, typer.Option("--choose", help="Instead: try every row's settings on seed 0, and say which is chosen.")
    ] = False,
    panel: Annotated[
        bool, typer.Option("--panel", help="And ask the panel: in which numbers is a row above both twins?")
    ] = False,
    stress: Annotated[
        bool, typer.Option("--stress", help="And round the weights: what comes back, beyond what does in a twin?")
    ] = False,
    as_json: Json = False,
) -> None:
    """Every method on the miniature, under the same instruments: how near is each to a model that never knew?"""
    import json

    quiet_libraries()
    from hp_bench.experiments import leaderboard as board
    from hp_bench.experiments.findings import PANEL, STRESS
    from hp_bench.experiments.training import rows_in

    if quick and seeds:
        raise ValueError("--quick is seed 1 alone: leave out --seeds")
    if choose and (quick or seeds or panel or stress):
        raise ValueError("--choose tries settings on seed 0: leave out --quick, --seeds, --panel and --stress")
    loaded = rows_in(file)
    if choose:
        choices = board.choose(out, rows=loaded, names=rows or ())
        typer.echo(
            json.dumps(choices.to_dict(), indent=1) if as_json else f"{choices.table()}\n{choices.to_yaml()}", nl=False
        )
        return
    made = board.run_leaderboard(
        out,
        rows=loaded,
        names=rows or (),
        seeds=(1,) if quick else seeds or board.SEEDS,
        further=[kind for kind, wanted in ((PANEL, panel), (STRESS, stress)) if wanted],
    )
    typer.echo(
        json.dumps(made.to_dict(), indent=1) if as_json else (out / "leaderboard.md").read_text(encoding="utf-8")
    )
    typer.echo(f"table, numbers and plane.png are in {out}", err=True)
    for entry in made.entries:
        if entry.failure:
            typer.echo(f"row {entry.name} failed: {entry.failure}", err=True)
    for found in made.findings:
        if found.failure:
            typer.echo(f"{found.kind} of row {found.name}, seed {found.seed}, failed: {found.failure}", err=True)
    if made.failed:
        raise typer.Exit(1)
