"""`hp-bench score` of one model against plain `lm_eval`: whole commands, fresh processes, in turn.

A miniature model, or with `real` SmolLM2-135M (`hp-bench fetch smollm2` first), one round. HP_BENCH_CHECKPOINTS names checkpoints to
measure with. Memory is the whole process' at its highest.

vLLM needs the environment of `make test-vllm`. Both sides run it in the command's own process and, on a CPU, without compilation.
"""

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.checkpoints import checkpoints
from benchmarks.timed import QUICK, Cost, against, middle, timed

TASKS = "hp_familiarity,hp_token_probability"
CHAT = "hp_familiarity_chat"
ROUNDS = 4
NO_VLLM = [{"not run": "vLLM is not installed in this environment"}]


def run(*, real: bool = False, tasks: str = TASKS, engine: str = "hf", goal: str = "1/2") -> list[dict[str, Any]]:
    """One result a side; beside our vLLM stands our hf."""
    if not there(engine):
        return NO_VLLM
    found: dict[str, list[Cost]] = {"lm_eval": []}
    with checkpoints(1 if real else 7, real=real) as models, tempfile.TemporaryDirectory() as place:
        for number in range(1 if real or QUICK else ROUNDS):
            found["lm_eval"].append(plain(models[-1], tasks, engine, Path(place) / f"plain-{number}"))
            for one in dict.fromkeys((engine, "hf")):
                out = Path(place) / f"{one}-{number}"
                cost = ours(["score", str(models[-1])], tasks, one, out)
                found.setdefault(f"hp-bench score --engine {one}", []).append(cost)
    costs = {f"{name}, chat" if tasks == CHAT else name: middle(each) for name, each in found.items()}
    base = next(iter(costs))
    return against(costs, {base: costs.pop(base)}, goal)


def there(engine: str) -> bool:
    """Whether an engine can be had in this environment."""
    return engine != "vllm" or find_spec("vllm") is not None


def ours(command: list[str], tasks: str, engine: str, out: Path) -> Cost:
    """One command of `hp-bench`."""
    words = [*command, "--tasks", tasks, "--engine", engine, *_fewer(), "--out", str(out)]
    return timed(["-m", "hp_bench", *words], _host(engine)[2])


def plain(model: Path, tasks: str, engine: str, out: Path) -> Cost:
    """One command of lm-eval's for the same."""
    batch_size, model_args, environment = _host(engine)
    words = ["--model", engine, "--model_args", f"pretrained={model},{model_args}", "--tasks", tasks, *_fewer()]
    words += ["--apply_chat_template"] if tasks == CHAT else []
    return timed(["-m", "lm_eval", *words, "--batch_size", batch_size, "--output_path", str(out)], environment)


def _fewer() -> list[str]:
    return ["--metadata", "quick=True"] if QUICK else []


def _host(engine: str) -> tuple[str, str, dict[str, str]]:
    """Of plain lm_eval: its batch size and its arguments besides the model (ours chooses its own); the environment of both sides."""
    if engine == "hf":
        return "64", "dtype=float32", {}
    import torch

    in_process = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    if torch.cuda.is_available():
        return "auto", "max_model_len=512", in_process
    return "auto", "dtype=float32,max_model_len=512,enforce_eager=True", {**in_process, "VLLM_CPU_KVCACHE_SPACE": "1"}
