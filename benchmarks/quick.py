"""`hp-bench score MODEL --quick` of SmolLM2-135M (`hp-bench fetch smollm2` first), a whole command: goal 40 s on two quiet cores."""

import tempfile
from typing import Any

from benchmarks.timed import timed


def run() -> list[dict[str, Any]]:
    """One result."""
    from hp_bench.experiments.real.model import fetch

    with tempfile.TemporaryDirectory() as place:
        cost = timed(["-m", "hp_bench", "score", str(fetch("smollm2")), "--quick", "--out", place])
    return [{"seconds": cost.seconds, "processor seconds": cost.processor, "peak MiB": cost.peak}]
