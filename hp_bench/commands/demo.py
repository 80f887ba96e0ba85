"""`hp-bench demo`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from hp_bench.commands.options import Json, Seed, print_json
from hp_bench.progress import quiet_libraries

if TYPE_CHECKING:
    from rich.table import Table

    from hp_bench.experiments.demo import Demo


def demo(
    overrides: Annotated[
        list[str] | None, Argument(help="key=value of both recipes, e.g. finetune.learning_rate=1e-4.")
    ] = None,
    out: Annotated[
        Path | None, Option(help="Folder for models, scorecards, figures and report; default: runs/demo, or runs/real.")
    ] = None,
    model: Annotated[
        str,
        Option(
            help="miniature (a world of our own, minutes), or a model that fetch gets: smollm2 (hours on two cores)."
        ),
    ] = "miniature",
    quick: Annotated[
        bool, Option("--quick", help="Of a real model: a tenth of the text, one method, minutes.")
    ] = False,
    target: Annotated[str, Option(help="Of the miniature: harry-potter or detectives.")] = "harry-potter",
    twins: Annotated[
        int | None, Option(help="Models trained on everything but the target; default: 1, of a real model 2.", min=1)
    ] = None,
    panel: Annotated[
        bool, Option("--panel", help="Ask the panel too: what is left where familiarity is gone? Minutes more.")
    ] = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """The whole story, offline: a model knows, is made to forget, and is measured at every step."""
    quiet_libraries()
    if model == "miniature":
        from hp_bench.experiments.demo import run_demo

        if quick:
            raise ValueError("--quick is for a real model: add --model smollm2")
        made = run_demo(
            out or "runs/demo", target=target, seed=seed, twins=twins or 1, overrides=overrides or (), panel=panel
        )
    else:
        from hp_bench.experiments.real.run import run_real

        if panel or target != "harry-potter":
            raise ValueError(f"--panel and --target are the miniature's: leave them out with --model {model}")
        made = run_real(
            out or "runs/real", model=model, seed=seed, twins=twins or 2, quick=quick, overrides=overrides or ()
        )
    if as_json:
        print_json(_plain(made))
    else:
        _show(made)


def _plain(made: "Demo") -> dict[str, Any]:
    """Everything but durations, which differ from run to run."""
    from dataclasses import asdict

    from hp_bench.report.run import read_story
    from hp_bench.report.sections import table
    from hp_bench.results.scorecard import to_json

    return {
        "curves": {name: to_json(*cards) for name, cards in made.curves.items()},
        "twins": to_json(*made.twins),
        "prompts": to_json(*made.prompts),
        "panel": to_json(*made.panel),
        "differences": [asdict(row) for row in table(read_story(made.out))],
        "distances": [asdict(distance) for distance in made.distances],
    }


def _show(made: "Demo") -> None:
    import sys

    from rich.console import Console

    from hp_bench.report.run import read_story
    from hp_bench.report.sections import table
    from hp_bench.report.tables import scorecards_table
    from hp_bench.results.metrics import METRICS
    from hp_bench.scoring.score import describe

    console = Console() if sys.stdout.isatty() else Console(width=160)
    baseline = next(iter(made.curves.values()))[0]
    console.print(
        scorecards_table(
            [baseline, *made.twins, *(cards[-1] for cards in made.curves.values())],
            title="Before, never knew, and after",
        )
    )
    steps = _table("Step by step", "method", "step", *(METRICS[metric].label for _, metric in made.steps))
    for name, cards in made.curves.items():
        for card in cards:
            steps.add_row(name, str(card.step), *(describe(card.get(*number)) for number in made.steps))
        steps.add_section()
    console.print(steps)
    changes = _table("Change from the baseline, paired", "method", "number", "better", "change", "p")
    changes.caption = "95 % intervals; p after Holm"
    for row in table(read_story(made.out)):
        changes.add_row(row.method, row.metric, row.better, row.difference, row.p)
    console.print(changes)
    if made.prompts:
        title = "On the 300 and the 30 prompts, without a goal: a model this small need not understand them"
        console.print(scorecards_table(made.prompts, title=title))
    if made.panel:
        console.print(scorecards_table(made.panel, title="The panel, in the miniature's language: what is left?"))
    columns = ("model", "text", "to the twins", "between twins", "difference")
    distances = _table("Distance to the twins: KL(twin || model), nats a token", *columns)
    for d in made.distances:
        interval = f"[{d.low:.3f}, {d.high:.3f}]"
        if d.value is None:
            distances.add_row(d.name, d.text, f"{d.raw:.3f} {interval}", "", "needs --twins 2 or more")
        else:
            distances.add_row(d.name, d.text, f"{d.raw:.3f}", f"{d.between_twins:.3f}", f"{d.value:.3f} {interval}")
    console.print(distances)
    stages = _table("Seconds")
    for stage, seconds in {**made.seconds, "in all": round(sum(made.seconds.values()), 1)}.items():
        stages.add_row(stage, f"{seconds:.1f}")
    console.print(stages)
    console.print(f"{made.out}/report.html  {made.out}/curve.png", soft_wrap=True)


def _table(title: str, *columns: str) -> "Table":
    from rich.table import Table

    return Table(*columns, title=title, title_justify="left")
