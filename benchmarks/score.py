"""`hp-bench score` of one miniature model, both familiarity tasks, against plain `lm_eval --batch_size 64`: goal 1/2.

Whole commands, fresh processes, in turn. HP_BENCH_CHECKPOINTS names checkpoints to measure with; without it a short training makes some.
"""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.checkpoints import checkpoints
from benchmarks.curve import TASKS
from benchmarks.timed import Cost, against, middle, timed

ROUNDS = 4


def run() -> list[dict[str, Any]]:
    """One result a side."""
    ours: list[Cost] = []
    plain: list[Cost] = []
    with checkpoints(7) as models, tempfile.TemporaryDirectory() as place:
        model = models[-1]
        for number in range(ROUNDS):
            out = Path(place) / f"ours-{number}"
            ours.append(timed(["-m", "hp_bench", "score", str(model), "--tasks", TASKS, "--out", str(out)]))
            words = ["--model_args", f"pretrained={model},dtype=float32", "--tasks", TASKS, "--batch_size", "64"]
            out = Path(place) / f"plain-{number}"
            plain.append(timed(["-m", "lm_eval", "--model", "hf", *words, "--output_path", str(out)]))
    return against({"hp-bench score": middle(ours)}, {"lm_eval --batch_size 64": middle(plain)}, "1/2")
