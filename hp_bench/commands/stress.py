"""`hp-bench stress`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hp_bench.commands.options import Json, Run, Seed, finish, print_json, scores, warn

if TYPE_CHECKING:
    from hp_bench.stress.run import StressResult


@scores(tasks="hp_panel")
def stress(
    model: Annotated[str, typer.Argument(help="Folder, hub id, id@revision, or unmerged PEFT adapter.")],
    run: Run,
    control: Annotated[str, typer.Option(help="A model that never knew, such as the twin.")] = "",
    quantize: Annotated[
        list[int] | None,
        typer.Option(help="Bits to round weights to, 2 to 8; repeatable. Default: 8 and 4, unless --relearn is given."),
    ] = None,
    relearn: Annotated[int, typer.Option(help="Optimiser steps of fine-tuning on --text; 0: none.", min=0)] = 0,
    text: Annotated[
        Path | None, typer.Option(help="To relearn from: .txt or .jsonl, or a folder; it must give no answer away.")
    ] = None,
    learning_rate: Annotated[float, typer.Option(help="Of relearning; constant.")] = 2e-5,
    batch: Annotated[int, typer.Option(help="Of relearning: blocks a step.")] = 8,
    block: Annotated[int, typer.Option(help="Of relearning: tokens; 0: 512, or the model's context if shorter.")] = 0,
    allow_answers: Annotated[
        bool, typer.Option("--allow-answers", help="Relearn from a text that gives answers away; the result says so.")
    ] = False,
    out: Annotated[
        Path, typer.Option(help="Folder for scorecards and stress.json; what it holds already is not scored again.")
    ] = Path("stress"),
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Does it come back? The panel after rounding the weights and after a few steps on harmless text, beside a model that never knew."""
    from hp_bench.stress.relearning import Relearning
    from hp_bench.stress.run import DEFAULT_BITS, stress_test

    result = stress_test(
        model,
        control=control or None,
        bits=quantize or (() if relearn else DEFAULT_BITS),
        relearning=Relearning(relearn, learning_rate, batch, block, seed) if relearn else None,
        text=text,
        tasks=run.tasks,
        metadata=run.metadata,
        out=out,
        settings=run.settings,
        allow_answers=allow_answers,
    )
    _show(result, as_json)
    warn(f"scorecards, samples and stress.json are in {out}")
    finish(result.failures)


def _show(result: "StressResult", as_json: bool) -> None:
    if as_json:
        from dataclasses import asdict

        print_json(asdict(result))
    else:
        from rich.console import Console

        from hp_bench.report.tables import recoveries_table

        console = Console()
        console.print(recoveries_table(result.recoveries, result.control))
        for sentence in result.verdicts():
            console.print(sentence, highlight=False)
    warn(*(one.broken for one in result.recoveries))
    if result.given:
        warn(f"the text to relearn from gives answers away, the first {result.given}: relearning is no evidence")
    if not result.control:
        warn("without --control nothing tells what came back from what the stress does to any model")
