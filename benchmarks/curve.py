"""`hp-bench curve` over 7 miniature checkpoints, both familiarity tasks, against 7 plain `lm_eval --batch_size 64`: goal 1/3.

Whole commands, fresh processes, in turn: ours, some of theirs, ours, the rest of theirs, ours. HP_BENCH_CHECKPOINTS names checkpoints
to measure with; without it a short training makes some.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.checkpoints import checkpoints
from benchmarks.timed import Cost, against, middle, timed, total

TASKS = "hp_familiarity,hp_token_probability"
CHECKPOINTS = 7


def run() -> list[dict[str, Any]]:
    """One result a side."""
    return compare_engines("hf", "64", "dtype=float32", "1/3")


def compare_engines(
    engine: str, batch_size: str, model_args: str, goal: str, environment: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Both sides with one engine.

    Args:
        engine: hf or vllm.
        batch_size: of plain lm_eval; ours chooses its own.
        model_args: of plain lm_eval, besides the model.
        goal: for the table.
        environment: of both sides.
    """
    plain: list[Cost] = []
    ours: list[Cost] = []
    with checkpoints(CHECKPOINTS) as models, tempfile.TemporaryDirectory() as place:

        def score_all() -> None:
            out = Path(place) / f"ours-{len(ours)}"
            names = [f"{step}:{model}" for step, model in enumerate(models, 1)]
            words = ["-m", "hp_bench", "curve", *names, "--tasks", TASKS, "--engine", engine, "--out", str(out)]
            ours.append(timed(words, environment))

        score_all()
        for number, model in enumerate(models):
            if number == CHECKPOINTS // 2:
                score_all()
            words = [
                "-m",
                "lm_eval",
                "--model",
                engine,
                "--model_args",
                f"pretrained={model},{model_args}",
                "--tasks",
                TASKS,
            ]
            out = Path(place) / f"plain-{number}"
            plain.append(timed([*words, "--batch_size", batch_size, "--output_path", str(out)], environment))
        score_all()
    return against(
        {f"hp-bench curve --engine {engine}": middle(ours)}, {f"{len(plain)} x lm_eval --model {engine}": total(plain)}, goal
    )  # fmt: skip
