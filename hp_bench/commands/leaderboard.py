"""`hp-bench leaderboard`."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from hp_bench.commands.options import Json, show, warn
from hp_bench.progress import quiet_libraries


def leaderboard(
    *,
    out: Path = Path("runs/leaderboard"),
    model: str = "miniature",
    seeds: Annotated[list[int] | None, Option(min=0)] = None,
    rows: list[str] | None = None,
    file: Path | None = None,
    quick: bool = False,
    choose: bool = False,
    panel: bool = False,
    stress: bool = False,
    as_json: Json = False,
) -> None:
    """Compares all unlearning methods on one small or real model.

    All methods are measured in the same way: how near does each come to a model that never knew?

    Args:
        out: Folder for models, numbers and table. What it already holds is not made again.
        model: miniature (minutes a row and seed) or smollm2 (a real model, hours on two cores).
        seeds: Seed of the models. Repeatable. Default: 1, 2 and 3.
        rows: Name of a row of the table. Repeatable. Default: all rows.
        file: File that describes the rows. Default: leaderboard.yaml or leaderboard-MODEL.yaml of this package.
        quick: Use seed 1 only.
        choose: Only try the settings of each row on seed 0, and print which are chosen.
        panel: Also ask the panel, and count the numbers that are higher than in both twins.
        stress: Also round the weights, and count the numbers that rise more than in a twin.
    """
    quiet_libraries()
    from rich.text import Text

    from hp_bench.experiments import leaderboard as board
    from hp_bench.experiments.findings import PANEL, STRESS
    from hp_bench.experiments.table import to_text
    from hp_bench.experiments.training import rows_in

    if quick and seeds:
        raise ValueError("--quick is seed 1 alone: leave out --seeds")
    if choose and (quick or seeds or panel or stress):
        raise ValueError("--choose tries settings on seed 0: leave out --quick, --seeds, --panel and --stress")
    if model != "miniature" and (panel or stress):
        raise ValueError(f"--panel and --stress are the miniature's: leave them out with --model {model}")
    loaded = rows_in(file, model)
    if choose:
        choices = board.choose(out, rows=loaded, names=rows or (), model=model)
        return show(as_json, choices.to_dict(), choices.table(), Text(choices.to_yaml()))
    made = board.run_leaderboard(
        out,
        rows=loaded,
        names=rows or (),
        model=model,
        seeds=(1,) if quick else seeds or board.SEEDS,
        further=[kind for kind, wanted in ((PANEL, panel), (STRESS, stress)) if wanted],
    )
    page = (out / "leaderboard.md").read_text(encoding="utf-8").replace("`", "").splitlines()
    nearest = [line.removeprefix("- ") for line in page if line.startswith("- Nearest on")]
    show(as_json, made.to_dict(), *nearest, "\n", to_text(made))
    warn(
        f"table, numbers and plane.png are in {out}",
        *(f"row {entry.name} failed: {entry.failure}" for entry in made.entries if entry.failure),
        *(f"{f.kind} of row {f.name}, seed {f.seed}, failed: {f.failure}" for f in made.findings if f.failure),
    )
    if made.failed:
        raise typer.Exit(1)
