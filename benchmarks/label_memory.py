"""Labelling, peak memory above the loaded models (Linux): ours and the textbook way, vocabulary 128k, each in a process of its own.

`--one SIDE` is that process. Bytes do not depend on what else the machine does.
"""

import json
import subprocess
import sys
from typing import Any

BLOCKS = 8
VOCABULARY = 128_000
GOAL = 1 / 4


def run() -> list[dict[str, Any]]:
    """One result a side."""
    found = {}
    for side in ("textbook", "ours"):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.label_memory", "--one", side], check=True, capture_output=True, text=True
        )
        found[side] = json.loads(done.stdout.splitlines()[-1])
    return [
        {
            "side": side, "tokens": one["tokens"], "peak MiB above the models": one["peak"],
            "of textbook": one["peak"] / found["textbook"]["peak"], "goal": f"<= {GOAL:g}" if side == "ours" else "",
        }
        for side, one in found.items()
    ]  # fmt: skip


def _one(side: str) -> None:
    from benchmarks.pair import Work, forget_peak, memory, models

    work, pair = Work(BLOCKS), models(VOCABULARY, layers=2, hidden=256)
    label = {"ours": work.ours, "textbook": work.textbook}[side](pair)
    forget_peak()
    before = memory("VmRSS")
    label()
    sys.stdout.write(json.dumps({"tokens": work.tokens, "peak": memory("VmHWM") - before}) + "\n")


if __name__ == "__main__":
    _one(sys.argv[-1])
