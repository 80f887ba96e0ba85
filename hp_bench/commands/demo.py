"""`hp-bench demo`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from hp_bench.commands.options import Json, Seed, print_json, show
from hp_bench.progress import quiet_libraries

if TYPE_CHECKING:
    from hp_bench.experiments.demo import Demo
    from hp_bench.results.scorecard import Scorecard


def demo(
    overrides: list[str] | None = None,
    *,
    out: Path | None = None,
    model: str = "miniature",
    quick: bool = False,
    target: str = "harry-potter",
    twins: Annotated[int | None, Option(min=1)] = None,
    panel: bool = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Runs the whole story offline: learn, forget, measure.

    A model that knows the target is made to forget it. Each checkpoint is measured, and compared with models that never knew.

    Args:
        overrides: Changes to the recipes as key=value, such as finetune.learning_rate=1e-4.
        out: Folder for models, scorecards, figures and report. Default: runs/demo, or runs/real for a real model.
        model: miniature (a tiny model of a made-up world, minutes) or smollm2 (a real model, hours on two cores).
        quick: With a real model: a tenth of the text, one method, minutes.
        target: With the miniature: harry-potter or detectives.
        twins: Number of twins: models that never read the target. Default: 1, or 2 for a real model.
        panel: With the miniature: ask the panel too, which looks for knowledge that familiarity misses. Minutes more.
    """
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
    from hp_bench.report.tables import answer, distances_table, model_tables, numbers_table, table
    from hp_bench.results.compare import compare

    baseline = next(iter(made.curves.values()))[0]
    ends = [cards[-1] for cards in made.curves.values()]
    changes = [one for cards in made.curves.values() for one in compare(baseline, cards[1:])]
    prompts = "On the 300 and the 30 prompts, which a model this small need not understand"
    seconds = {**made.seconds, "in all": sum(made.seconds.values())}
    show(
        False,
        None,
        *(answer(card, baseline, changes) for card in ends),
        "\n",
        *(
            numbers_table(cards, changes, title=f"{name}, step by step", numbers=made.steps)
            for name, cards in made.curves.items()
        ),
        *model_tables([baseline, *made.twins, *ends], changes, baseline.name),
        numbers_table(made.prompts, title=prompts, numbers=_leading(made.prompts)) if made.prompts else "",
        numbers_table(made.panel, title="The panel: what is left?", numbers=_leading(made.panel)) if made.panel else "",
        distances_table(made.distances),
        table(("seconds", ""), {"": [(stage, f"{took:.1f}") for stage, took in seconds.items()]}),
        f"{made.out}/report.html  {made.out}/curve.png",
    )


def _leading(cards: "Sequence[Scorecard]") -> list[tuple[str, str]]:
    """Task and metric of the numbers to look at first; --json has all."""
    from hp_bench.results.metrics import METRICS

    first = ("familiarity", "token_probability")
    keys = dict.fromkeys((m.task, m.metric) for card in cards for m in card.measurements)
    return [(task, metric) for task, metric in keys if METRICS[metric].lead or metric in first]
