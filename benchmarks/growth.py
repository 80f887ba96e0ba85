"""Scoring more checkpoints, prompts or new tokens: seconds and peak memory of each number, and for each further one.

Whole processes. Checkpoints: 40 prompts of `hp_familiarity` and 30 of `hp_token_probability`, so that what is measured is what a
checkpoint costs by itself. Prompts and new tokens: `hp_familiarity` of one model, 40 prompts and 80 tokens where they do not grow;
`python -m benchmarks.growth MODEL PROMPTS TOKENS` is such a process.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.checkpoints import checkpoints, few_prompts
from benchmarks.score import TASKS
from benchmarks.timed import QUICK, Cost, timed

PROMPTS, TOKENS = 10 if QUICK else 40, 80


def run(of: str = "checkpoints", counts: tuple[int, ...] = (1, 10, 50), *, real: bool = False) -> list[dict[str, Any]]:
    """One result a number; what a further one adds, against the number before.

    Args:
        of: what there is more of: checkpoints, prompts or tokens (new ones, at most).
        counts: the numbers.
        real: SmolLM2-135M, not the miniature.
    """
    results: list[dict[str, Any]] = []
    before: tuple[int, Cost] | None = None
    with (
        checkpoints(max(counts) if of == "checkpoints" else 1, real=real) as models,
        tempfile.TemporaryDirectory() as place,
    ):
        for count in counts:
            few = few_prompts(Path(place) / f"prompts-{count}", count if of == "prompts" else PROMPTS)
            if of == "checkpoints":
                names = [f"{step}:{model}" for step, model in enumerate(models[:count], 1)]
                words = ["--tasks", TASKS, "--metadata", f"prompts={few}", "--out", str(Path(place) / str(count))]
                cost = timed(["-m", "hp_bench", "curve", *names, *words])
            else:
                cost = timed(
                    ["-m", "benchmarks.growth", str(models[0]), str(few), str(count if of == "tokens" else TOKENS)]
                )
            more = count - before[0] if before else 0
            results.append(
                {
                    of: count, "seconds": cost.seconds, "processor seconds": cost.processor, "peak MiB": cost.peak,
                    "seconds for each further": (cost.seconds - before[1].seconds) / more if before else "",
                    "processor seconds for each further": (cost.processor - before[1].processor) / more if before else "",
                    "MiB for each further": (cost.peak - before[1].peak) / more if before else "",
                }
            )  # fmt: skip
            before = (count, cost)
    return results


def _one(model: str, prompts: str, tokens: str) -> None:
    from hp_bench.engines.hf import HFEngine
    from hp_bench.scoring.score import load_tasks, score_engine

    loaded = load_tasks(["hp_familiarity"], {"prompts": prompts})
    loaded["tasks"]["hp_familiarity"].config.generation_kwargs["max_gen_toks"] = int(tokens)
    card = score_engine(HFEngine(model), loaded, name="model").card
    if card.failures:
        raise RuntimeError(str(card.failures))


if __name__ == "__main__":
    _one(*sys.argv[1:])
