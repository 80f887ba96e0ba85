"""SmolLM2-135M, whole commands in turn: `hp-bench score` against plain `lm_eval --batch_size 64`, plain text and chat; and `--quick`.

`hp-bench fetch smollm2` first. Goals: .45 of the time; `--quick` in 40 s. Memory is the whole process' at its highest.
"""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.curve import TASKS
from benchmarks.timed import against, middle, timed

ROUNDS = 1
CHAT = "hp_familiarity_chat"


def run() -> list[dict[str, Any]]:
    """Two results a comparison, and one of `--quick`."""
    from hp_bench.experiments.real.model import fetch

    model = str(fetch("smollm2"))
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place:
        for tasks in (TASKS, CHAT):
            ours, plain = [], []
            for number in range(ROUNDS):
                out = str(Path(place) / f"{tasks}-{number}")
                words = ["--model_args", f"pretrained={model},dtype=float32", "--tasks", tasks, "--batch_size", "64"]
                words += ["--apply_chat_template"] if tasks == CHAT else []
                plain.append(timed(["-m", "lm_eval", "--model", "hf", *words, "--output_path", f"{out}-plain"]))
                ours.append(timed(["-m", "hp_bench", "score", model, "--tasks", tasks, "--out", out]))
            chat = ", chat" * (tasks == CHAT)
            results += against({f"hp-bench score{chat}": middle(ours)}, {f"lm_eval{chat}": middle(plain)}, ".45")
        quick = timed(["-m", "hp_bench", "score", model, "--quick", "--out", place])
    empty = dict.fromkeys(results[0], "")
    seen = {"seconds": quick.seconds, "processor seconds": quick.processor, "peak MiB": quick.peak}
    return [*results, {**empty, "command": "hp-bench score --quick", **seen, "goal": "40 s"}]
