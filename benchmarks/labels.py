"""Labelling, tokens/s on the CPU: ours, the textbook way, and the floor (backbones and head products alone).

8 layers x 512, vocabulary 32k, blocks of 512 tokens, random Llamas, the sides in turn. bfloat16 is slow on a CPU without its instructions.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

ROUNDS = 3
BLOCKS = 8
GOALS = {"ours": ">= 2.0 x textbook, <= 1.15 x floor's time", "ours, bfloat16": ">= 4 x textbook, >= .99 equal"}


def run() -> list[dict[str, Any]]:
    """One result a side."""
    from benchmarks.pair import Work, agreement, models

    work, pair = Work(BLOCKS), models(32_000, layers=8, hidden=512)
    half = models(32_000, layers=8, hidden=512, dtype="bfloat16")
    sides: dict[str, Callable[[], Any]] = {
        "textbook": work.textbook(pair),
        "ours": work.ours(pair),
        "floor": work.floor(pair),
        "ours, bfloat16": work.ours(half),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    made: dict[str, Any] = {}
    for number in range(ROUNDS):
        for name, side in sides.items():
            if number and "bfloat16" in name and median(seconds[name]) > 60:
                continue  # once is enough to say that it is slow
            began = time.perf_counter()
            made[name] = side()
            seconds[name].append(time.perf_counter() - began)
    middle = {name: median(values) for name, values in seconds.items()}
    return [
        {
            "side": name, "tokens": work.tokens, "tokens/s": work.tokens / middle[name],
            "x textbook's speed": median(a / b for a, b in zip(seconds["textbook"], seconds[name], strict=False)),
            "x floor's time": median(b / a for a, b in zip(seconds["floor"], seconds[name], strict=False)),
            "labels equal to the textbook's": "" if made[name] is None else agreement(made[name], made["textbook"]),
            "goal": GOALS.get(name, ""),
        }
        for name in sides
    ]  # fmt: skip
