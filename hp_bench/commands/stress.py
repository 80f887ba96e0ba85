"""`hp-bench stress`."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from hp_bench.commands.options import Json, Run, Seed, finish, scores, show, warn


@scores(tasks="hp_panel")
def stress(
    model: Annotated[str, Argument(help="Folder, hub id, id@revision, or unmerged PEFT adapter.")],
    run: Run,
    control: Annotated[str, Option(help="A model that never knew, such as the twin.")] = "",
    quantize: Annotated[
        list[int] | None,
        Option(help="Bits to round weights to, 2 to 8; repeatable. Default: 8 and 4, unless --relearn is given."),
    ] = None,
    relearn: Annotated[int, Option(help="Optimiser steps of fine-tuning on --text; 0: none.", min=0)] = 0,
    text: Annotated[
        Path | None, Option(help="To relearn from: .txt or .jsonl, or a folder; it must give no answer away.")
    ] = None,
    learning_rate: Annotated[float, Option(help="Of relearning; constant.")] = 2e-5,
    batch: Annotated[int, Option(help="Of relearning: blocks a step.")] = 8,
    block: Annotated[int, Option(help="Of relearning: tokens; 0: 512, or the model's context if shorter.")] = 0,
    allow_answers: Annotated[
        bool, Option("--allow-answers", help="Relearn from a text that gives answers away; the result says so.")
    ] = False,
    out: Annotated[
        Path, Option(help="Folder for scorecards and stress.json; what it holds already is not scored again.")
    ] = Path("stress"),
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Does it come back? The panel after rounding the weights and after a few steps on harmless text, beside a model that never knew."""
    from dataclasses import asdict

    from hp_bench.report.tables import recoveries_table
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
    show(as_json, asdict(result), *result.verdicts(), "\n", recoveries_table(result.recoveries, result.control))
    warn(*(one.broken for one in result.recoveries))
    if result.given:
        warn(f"the text to relearn from gives answers away, the first {result.given}: relearning is no evidence")
    if not result.control:
        warn("without --control nothing tells what came back from what the stress does to any model")
    warn(f"scorecards, samples and stress.json are in {out}")
    finish(result.failures)
