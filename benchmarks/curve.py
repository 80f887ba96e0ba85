"""`hp-bench curve` over 7 checkpoints, both familiarity tasks, against 7 plain `lm_eval` commands.

Whole commands, fresh processes, in turn: some of theirs, ours, the rest of theirs; of the miniature ours two times more, at both ends.
What is scored, and how: `benchmarks.score`.
"""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.checkpoints import checkpoints
from benchmarks.score import NO_VLLM, TASKS, ours, plain, there
from benchmarks.timed import QUICK, Cost, against, middle, total

CHECKPOINTS = 7


def run(*, real: bool = False, engine: str = "hf", goal: str = "1/3") -> list[dict[str, Any]]:
    """One result a side."""
    if not there(engine):
        return NO_VLLM
    theirs: list[Cost] = []
    whole: list[Cost] = []
    with checkpoints(CHECKPOINTS, real=real) as models, tempfile.TemporaryDirectory() as place:
        names = [f"{step}:{model}" for step, model in enumerate(models, 1)]
        for number in range(CHECKPOINTS + 1):
            if number == CHECKPOINTS // 2 or (number in (0, CHECKPOINTS) and not (real or QUICK)):
                whole.append(ours(["curve", *names], TASKS, engine, Path(place) / f"ours-{number}"))
            if number < CHECKPOINTS:
                theirs.append(plain(models[number], TASKS, engine, Path(place) / f"plain-{number}"))
    return against(
        {f"hp-bench curve --engine {engine}": middle(whole)}, {f"{CHECKPOINTS} x lm_eval --model {engine}": total(theirs)}, goal
    )  # fmt: skip
