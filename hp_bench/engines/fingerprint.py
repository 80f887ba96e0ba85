"""What tells models apart: a digest of weights, config and tokenizer."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from hp_bench.engines import Engine
from hp_bench.engines.source import locate

#: A weight file up to this size is read whole; of a larger one, `_PIECE` bytes of every MiB.
_WHOLE, _PIECE = 64 << 20, 16 << 10

#: Files beside the weights that can change what a model says.
_SETTINGS = (
    "config.json", "generation_config.json", "adapter_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
)  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """What must be the same for a number to be the same, beside the question: the weights (their fingerprint is "" where they have none, as
    a live or a served model's), the engine, and the dtype as loaded.
    """

    fingerprint: str
    engine: str
    dtype: str


def identity_of(engine: Engine, model: str | Path = "") -> Identity:
    """Of a model in an engine; of the one it holds, if none is named."""
    stored, base = getattr(engine, "stored", True), getattr(engine, "base", None)
    return Identity(fingerprint(str(model or engine.model), base) if stored else "", engine.name, engine.dtype)


def fingerprint(model: str, base: str | Path | None = None) -> str:
    """Short digest of a model folder: its weight files (large ones at every MiB, so that a change of one layer shows), its config and its
    tokenizer, and, of an adapter, the model under it too (`base`, or the one that its config names). Of a hub id, its name and commit.
    "" for a served or a live model, or where nothing can be read.
    """
    try:
        source = locate(model, base=base)
    except ValueError:
        return ""
    parts = [_digest(one.path, one.revision) for one in dict.fromkeys((source, source.whole))]
    if "" in parts or len(parts) == 1:
        return parts[0] if len(parts) == 1 else ""
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]


def _digest(path: str, revision: str) -> str:
    folder = Path(path)
    if not folder.is_dir():
        commit = commit_of(path, revision)
        return f"{path}@{commit}" if commit else ""
    files = sorted(file for file in folder.iterdir() if file.suffix in (".safetensors", ".bin"))
    weights = [file for file in files if file.name != "training_args.bin"]
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
