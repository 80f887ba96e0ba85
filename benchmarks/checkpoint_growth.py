"""`hp-bench curve` over 1, 10 and 50 checkpoints: seconds and peak memory for each further one.

Miniature checkpoints, whole commands in fresh processes. 40 prompts of `hp_familiarity` and 30 of `hp_token_probability`, so that what
is measured is what a checkpoint costs by itself, and the row ends in minutes.
"""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.checkpoints import checkpoints, few_prompts
from benchmarks.curve import TASKS
from benchmarks.timed import Cost, timed

COUNTS = (1, 10, 50)
PROMPTS = 40


def run() -> list[dict[str, Any]]:
    """One result a number of checkpoints; what a further one adds, against the number before."""
    results: list[dict[str, Any]] = []
    before: tuple[int, Cost] | None = None
    with checkpoints(max(COUNTS)) as models, tempfile.TemporaryDirectory() as place:
        prompts = few_prompts(Path(place) / "prompts", PROMPTS)
        for count in COUNTS:
            names = [f"{step}:{model}" for step, model in enumerate(models[:count], 1)]
            words = ["--tasks", TASKS, "--metadata", f"prompts={prompts}", "--out", str(Path(place) / str(count))]
            cost = timed(["-m", "hp_bench", "curve", *names, *words])
            more = count - before[0] if before else 0
            results.append(
                {
                    "checkpoints": count, "seconds": cost.seconds, "processor seconds": cost.processor, "peak MiB": cost.peak,
                    "seconds for each further": (cost.seconds - before[1].seconds) / more if before else "",
                    "processor seconds for each further": (cost.processor - before[1].processor) / more if before else "",
                    "MiB for each further": (cost.peak - before[1].peak) / more if before else "",
                }
            )  # fmt: skip
            before = (count, cost)
    return results
