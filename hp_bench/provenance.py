"""Where a scorecard's numbers come from: digests of weights, how a task asks, versions of libraries."""

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hp_bench.scorecard import TaskManifest

_LIBRARIES = ("hp-bench", "lm_eval", "torch", "transformers", "tokenizers", "peft", "vllm")
#: Files beside the weights that can change what a model says.
_SETTINGS = (
    "config.json",
    "generation_config.json",
    "adapter_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)
#: A weight file up to this size is read whole; of a larger one, `_PIECE` bytes of every MiB.
_WHOLE, _PIECE = 64 << 20, 16 << 10


def fingerprint(model: str, base: str | None = None) -> str:
    """Short digest of a model folder: its weight files (large ones at every MiB, so that a change of one layer shows), its config and its
    tokenizer, and, of an adapter, the model under it too. Of a hub id, its name and commit. "" for a served or a live model, or where
    nothing can be read.

    Args:
        model: folder or hub id.
        base: the model under an adapter, if not the one that its config names.
    """
    from hp_bench.engines.source import locate

    try:
        source = locate(model, base=base)
    except ValueError:
        return ""
    parts = [_digest(one.path, one.revision) for one in dict.fromkeys((source, source.whole))]
    return (
        "" if "" in parts else hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16] if len(parts) > 1 else parts[0]
    )


def _digest(path: str, revision: str) -> str:
    folder = Path(path)
    if not folder.is_dir():
        commit = commit_of(path, revision)
        return f"{path}@{commit}" if commit else ""
    weights = sorted(
        file
        for file in folder.iterdir()
        if file.suffix in (".safetensors", ".bin") and file.name != "training_args.bin"
    )
    if not weights:
        return ""
    digest = hashlib.sha256()
    for file in [*weights, *(folder / name for name in _SETTINGS if (folder / name).is_file())]:
        size = file.stat().st_size
        digest.update(f"{file.name} {size} ".encode())
        with file.open("rb") as stream:
            for start in range(0, size, size or 1) if size <= _WHOLE else range(0, size, 1 << 20):
                stream.seek(start)
                digest.update(stream.read(size if size <= _WHOLE else _PIECE))
    return digest.hexdigest()[:16]


def commit_of(name: str, revision: str = "") -> str:
    """The commit that a hub id stands for, by the local cache; "" if it is not there."""
    from transformers.utils import cached_file

    try:
        path = cached_file(name, "config.json", revision=revision or None, local_files_only=True)
    except (OSError, ValueError):
        return ""
    found = Path(path or "").parent
    return found.name if found.parent.name == "snapshots" else ""


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
