"""Where a scorecard's numbers come from: digests of weights, how a task asks, versions of libraries."""

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from hp_bench.results.scorecard import TaskManifest

_LIBRARIES = ("hp-bench", "lm_eval", "torch", "transformers", "tokenizers", "peft", "vllm")


def task_manifest(task: Any, n: int) -> TaskManifest:
    """How a task asks, as far as it can move a number.

    Args:
        task: an lm-eval task.
        n: prompts.
    """
    config, metadata = task.config, task.config.metadata or {}
    decoding = json.dumps(config.generation_kwargs, sort_keys=True) if config.output_type == "generate_until" else ""
    return TaskManifest(
        version=str(task.VERSION),
        n=n,
        prompts_sha256=metadata.get("prompts_sha256", ""),
        judge=metadata.get("judge", ""),
        decoding=decoding,
        chat_template=metadata.get("chat_template", ""),
        num_fewshot=int(config.num_fewshot or 0),
    )


def is_chat(task: Any) -> bool:
    """Whether a task puts its prompts through the model's chat template."""
    return bool(getattr(task, "CHAT", False))


def versions() -> dict[str, str]:
    """Of the libraries that can move a number."""
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
