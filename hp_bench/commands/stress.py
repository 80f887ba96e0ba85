"""`hp-bench stress`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from hp_bench.commands.options import Json, Natural, Run, Seed, finish, show, warn


def stress(
    model: str,
    *,
    run: Annotated[Run, "hp_panel"],
    control: str = "",
    quantize: list[int] | None = None,
    relearn: Natural = 0,
    text: Path | None = None,
    relearn_facts: Natural = 0,
    splits: int = 3,
    learning_rate: float = 2e-5,
    batch: int = 8,
    block: int = 0,
    allow_answers: bool = False,
    out: Path = Path("stress"),
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Tests whether forgotten knowledge comes back.

    Asks the panel before and after a stress: the weights are rounded, or the model is trained for a few steps, on harmless text or on half
    of the facts. The control is put under the same stress. What comes back is what the model gains and the control does not.

    Args:
        model: Model to test: folder, hub id, hub id@revision, or unmerged PEFT adapter.
        control: Model that never knew the target, such as a twin.
        quantize: Round the weights to this many bits, 2 to 8. Repeatable. Default: 8 and 4, but none with --relearn or --relearn-facts.
        relearn: Train for this many steps on --text. 0: no training.
        text: Text for --relearn: a .txt or .jsonl file, or a folder. It must not contain answers to the prompts.
        relearn_facts: Train for this many steps on half of the facts of hp_qa or hp_extraction, and ask the other half. 0: no training.
        splits: Times that --relearn-facts halves the facts anew. Each takes two models.
        learning_rate: Learning rate of --relearn and --relearn-facts (constant).
        batch: Blocks per step of training.
        block: Tokens per block of training. 0: 512, or the model's context if that is shorter.
        allow_answers: Accept a text that contains answers. The result says so.
        out: Folder for scorecards and stress.json. What it already holds is not scored again.
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
        out=out,
        allow_answers=allow_answers,
        **vars(run),
    )
    show(as_json, asdict(result), *result.verdicts(), "\n", recoveries_table(result.recoveries, result.control))
    warn(*(one.broken for one in result.recoveries))
    if result.given:
        warn(f"the text to relearn from gives answers away, the first {result.given}: relearning is no evidence")
    if not result.control:
        warn("without --control nothing tells what came back from what the stress does to any model")
    warn(f"scorecards, samples and stress.json are in {out}")
    finish(result.failures)
