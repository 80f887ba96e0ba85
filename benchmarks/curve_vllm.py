"""`hp-bench curve --engine vllm` over 7 miniature checkpoints against 7 plain `lm_eval --model vllm`: goal 1/4.

Runs where vLLM is installed: `make .venv-vllm/.installed`, then `.venv-vllm/bin/python -m benchmarks curve_vllm`. Both sides run the
engine in the command's own process and, on a CPU, without compilation: vLLM's slower start would be counted seven times against one.
"""

from importlib.util import find_spec
from typing import Any

from benchmarks.curve import compare_engines


def run() -> list[dict[str, Any]]:
    """One result a side; one that says so where vLLM is not installed."""
    if find_spec("vllm") is None:
        return [{"not run": "vLLM is not installed in this environment"}]
    import torch

    in_process = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    if torch.cuda.is_available():
        return compare_engines("vllm", "auto", "max_model_len=512", "1/4", in_process)
    on_cpu = {**in_process, "VLLM_CPU_KVCACHE_SPACE": "1"}
    return compare_engines("vllm", "auto", "dtype=float32,max_model_len=512,enforce_eager=True", "1/4", on_cpu)
