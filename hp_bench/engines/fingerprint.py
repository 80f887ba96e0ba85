"""What tells models apart: a digest of weights, config and tokenizer."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from hp_bench.engines import Engine
from hp_bench.engines.source import locate
from unlearn.files import model_fingerprint


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
    if Path(path).is_dir():
        return model_fingerprint(path)
    commit = commit_of(path, revision)
    return f"{path}@{commit}" if commit else ""


def commit_of(name: str, revision: str = "") -> str:
    """The commit that a hub id stands for, by the local cache; "" if it is not there."""
    from transformers.utils import cached_file

    try:
        path = cached_file(name, "config.json", revision=revision or None, local_files_only=True)
    except (OSError, ValueError):
        return ""
    found = Path(path or "").parent
    return found.name if found.parent.name == "snapshots" else ""
