"""`hp-bench stress`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from hp_bench.commands.options import Json, Run, Seed, finish, scores, show, warn


@scores(tasks="hp_panel")
def stress(
    model: Annotated[str, Argument(help="Model to test: folder, hub id, hub id@revision, or unmerged PEFT adapter.")],
    run: Run,
    control: Annotated[str, Option(help="Model that never knew the target, such as a twin.")] = "",
    quantize: Annotated[
        list[int] | None,
        Option(
            help="Round the weights to this many bits, 2 to 8. Repeatable. Default: 8 and 4, but none with --relearn or --relearn-facts."
        ),
    ] = None,
    relearn: Annotated[int, Option(help="Train for this many steps on --text. 0: no training.", min=0)] = 0,
    text: Annotated[
        Path | None,
        Option(
            help="Text for --relearn: a .txt or .jsonl file, or a folder. It must not contain answers to the prompts."
        ),
    ] = None,
    relearn_facts: Annotated[
        int,
        Option(
            help="Train for this many steps on half of the facts of hp_qa or hp_extraction, and ask the other half. 0: no training.",
            min=0,
        ),
    ] = 0,
    splits: Annotated[int, Option(help="Times that --relearn-facts halves the facts anew. Each takes two models.")] = 3,
    learning_rate: Annotated[float, Option(help="Learning rate of --relearn and --relearn-facts (constant).")] = 2e-5,
    batch: Annotated[int, Option(help="Blocks per step of training.")] = 8,
    block: Annotated[
        int, Option(help="Tokens per block of training. 0: 512, or the model's context if that is shorter.")
    ] = 0,
    allow_answers: Annotated[
        bool, Option("--allow-answers", help="Accept a text that contains answers. The result says so.")
    ] = False,
    out: Annotated[
        Path, Option(help="Folder for scorecards and stress.json. What it already holds is not scored again.")
    ] = Path("stress"),
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Tests whether forgotten knowledge comes back.

    Asks the panel before and after a stress: the weights are rounded, or the model is trained for a few steps, on harmless text or on half
    of the facts. The control is put under the same stress. What comes back is what the model gains and the control does not.
    """
    from hp_bench.report.tables import recoveries_table
    from hp_bench.stress.facts import FactRelearning
    from hp_bench.stress.relearning import Relearning
    from hp_bench.stress.run import DEFAULT_BITS, stress_test

    result = stress_test(
        model,
        control=control or None,
        bits=quantize or (() if relearn or relearn_facts else DEFAULT_BITS),
        relearning=Relearning(relearn, learning_rate, batch, block, seed) if relearn else None,
        text=text,
        facts=FactRelearning(relearn_facts, learning_rate, batch, block, seed) if relearn_facts else None,
        splits=splits,
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
