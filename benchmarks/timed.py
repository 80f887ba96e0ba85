"""A whole command in a fresh process: seconds on the clock, seconds of processor time, peak memory."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

#: The same for both sides; plain lm-eval would ask the hub about a local folder.
OFFLINE = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

#: Less of everything, on all sides alike: 60 of the 300 prompts, two steps of a fine-tune, one round.
QUICK = bool(os.environ.get("HP_BENCH_QUICK"))


@dataclass(frozen=True)
class Cost:
    """What one command, or several together, took.

    Attributes:
        seconds: on the clock.
        processor: seconds of processor time, of all threads: steadier than the clock on a shared machine.
        peak: MiB of resident memory at its highest.
    """

    seconds: float
    processor: float
    peak: float


def timed(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Cost:
    """Runs `python` with arguments.

    Raises:
        RuntimeError: the command failed; its last lines of stderr.
    """
    variables = {**os.environ, **OFFLINE, **(environment or {})}
    with tempfile.TemporaryFile() as log:
        began = time.perf_counter()
        child = subprocess.Popen([sys.executable, *arguments], env=variables, stdout=log, stderr=log)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            log.seek(0)
            said = log.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(arguments)} ended with {child.returncode}:\n{said}")
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / scale)


def middle(costs: Sequence[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(
        median(c.seconds for c in costs), median(c.processor for c in costs), median(c.peak for c in costs)
    )  # fmt: skip


def total(costs: Sequence[Cost]) -> Cost:
    """Commands one after the other; the peak is the highest."""
    return Cost(sum(c.seconds for c in costs), sum(c.processor for c in costs), max(c.peak for c in costs))


def against(ours: Mapping[str, Cost], plain: Mapping[str, Cost], goal: str) -> list[dict[str, Any]]:
    """One result a side; ours as a share of the plain one beside it."""
    (base,) = plain.values()
    return [
        {
            "command": name, "seconds": cost.seconds, "processor seconds": cost.processor, "peak MiB": cost.peak,
            "of plain": cost.seconds / base.seconds, "of its processor time": cost.processor / base.processor,
            "goal": goal if name in ours else "",
        }
        for name, cost in {**plain, **ours}.items()
    ]  # fmt: skip
