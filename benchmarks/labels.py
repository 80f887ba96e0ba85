"""Labelling, tokens a processor second: ours, the textbook way, and the floor (backbones and head products alone).

8 layers x 512, vocabulary 32k, blocks of 512 tokens, random Llamas, the sides in turn. bfloat16 is slow on a CPU without its instructions.
With `real` the taught and the reinforced SmolLM2 of a run of `make real` (HP_BENCH_RUN, by default runs/real/whp), by its recipe.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

ROUNDS = 3
BLOCKS = 8
GOALS = {"ours": ">= 2.0 x textbook, <= 1.15 x floor's time", "ours, bfloat16": ">= 4 x textbook, >= .99 equal"}
REAL_GOALS = {"ours": "<= 1.10 x floor's time", "ours, bfloat16": ">= 2 x ours, >= .99 equal"}


def run(*, real: bool = False) -> list[dict[str, Any]]:
    """One result a side; times in processor seconds."""
    from benchmarks.pair import Work, agreement, models, run_models

    run = Path(os.environ.get("HP_BENCH_RUN", "runs/real/whp")) if real else None
    if run is None:
        pair, half = models(32_000, layers=8, hidden=512), models(32_000, layers=8, hidden=512, dtype="bfloat16")
    else:
        pair, half = run_models(run), run_models(run, dtype="bfloat16")
    work = Work(BLOCKS * (4 if real else 1), run=run)
    sides: dict[str, Callable[[], Any]] = {
        "ours": work.ours(pair),
        "floor": work.floor(pair),
        "ours, bfloat16": work.ours(half),
    }
    reference, goals = ("ours", REAL_GOALS) if real else ("textbook", GOALS)
    if not real:
        sides = {"textbook": work.textbook(pair), **sides}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    made: dict[str, Any] = {}
    for number in range(ROUNDS):
        for name, side in sides.items():
            if number and "bfloat16" in name and median(seconds[name]) > 60:
                continue  # once is enough to say that it is slow
            began = time.process_time()
            made[name] = side()
            seconds[name].append(time.process_time() - began)
    middle = {name: median(values) for name, values in seconds.items()}
    return [
        {
            "side": name, "tokens": work.tokens, "tokens/s": work.tokens / middle[name],
            f"x speed of {reference}": median(a / b for a, b in zip(seconds[reference], seconds[name], strict=False)),
            "x floor's time": median(b / a for a, b in zip(seconds["floor"], seconds[name], strict=False)),
            f"labels equal to {reference}": "" if made[name] is None else agreement(made[name], made[reference]),
            "goal": goals.get(name, ""),
        }
        for name in sides
    ]  # fmt: skip
