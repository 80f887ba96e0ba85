"""What a user calls a model -> where its weights are: a folder, a hub id and revision, or an unmerged adapter on top of one."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ADAPTER = "adapter_config.json"


@dataclass(frozen=True)
class Source:
    """Where a model's weights are.

    Attributes:
        path: folder (absolute) or hub id.
        revision: branch, tag or commit of a hub id; "" for a folder.
        base: the model under an unmerged adapter; None for a whole model.
    """

    path: str
    revision: str = ""
    base: "Source | None" = None

    @property
    def whole(self) -> "Source":
        """The whole model: itself, or what is under the adapter."""
        return self.base or self

    @property
    def name(self) -> str:
        """As a user would write it."""
        return f"{self.path}@{self.revision}" if self.revision else self.path

    @property
    def options(self) -> dict[str, Any]:
        """For `from_pretrained`."""
        return {"revision": self.revision} if self.revision else {}

    def folder(self) -> Path:
        """The folder of the weights; a hub id's is fetched if it is not there yet."""
        if Path(self.path).is_dir():
            return Path(self.path)
        from huggingface_hub import snapshot_download

        patterns = ["*.json", "*.safetensors", "*.bin", "tokenizer*", "*.txt"]
        return Path(snapshot_download(self.path, revision=self.revision or None, allow_patterns=patterns))


def locate(model: str | Path, *, base: str | Path | None = None) -> Source:
    """A model's source.

    Args:
        model: folder, hub id, or hub id@revision; of a whole model or of an unmerged PEFT adapter.
        base: the model under an adapter; default: what its adapter_config.json names.

    Raises:
        ValueError: a folder does not exist, or an adapter names no model to put it on.
    """
    require_exists(model)
    name, separator, revision = str(model).rpartition("@")
    if Path(model).is_dir():
        name, revision = str(Path(model).resolve()), ""
    elif not separator:
        name, revision = str(model), ""
    config = _adapter_config(name, revision)
    if config is None:
        return Source(name, revision)
    under = str(base) if base is not None else config.get("base_model_name_or_path") or ""
    if not under:
        raise ValueError(f"adapter {str(model)!r} names no base model: give it (--base)")
    beside = Path(name) / under
    return Source(name, revision, base=locate(beside if not Path(under).is_dir() and beside.is_dir() else under))


def require_exists(model: str | Path) -> None:
    """Raises ValueError if a model can only be a folder, and there is none.

    A name with one slash is a hub id, unless what stands before the slash is a folder here.
    """
    path = Path(model)
    name = str(model)
    local = isinstance(model, Path) or name.startswith((".", "/", "~")) or name.count("/") > 1 or name.endswith("/")
    if not path.is_dir() and (local or ("/" in name and path.parent.is_dir())):
        raise ValueError(f"model folder {name!r} does not exist")


def stored_dtype(source: Source) -> str:
    """Type of a model's weights on disk, such as float32; "" if its config does not say."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(source.whole.path, **source.whole.options)
    except (OSError, ValueError):
        return ""
    return str(getattr(config, "dtype", None) or "").removeprefix("torch.")


def widest(dtypes: list[str]) -> str:
    """The type that holds the numbers of all of these exactly: float32 if they differ; "auto" if none is known."""
    known = {dtype for dtype in dtypes if dtype}
    if len(known) <= 1:
        return next(iter(known), "auto")
    return "float64" if "float64" in known else "float32"


def _adapter_config(name: str, revision: str) -> dict[str, Any] | None:
    if Path(name).is_dir():
        path: str | None = str(Path(name) / _ADAPTER) if (Path(name) / _ADAPTER).is_file() else None
    else:
        from transformers.utils.peft_utils import find_adapter_config_file

        try:
            path = find_adapter_config_file(name, revision=revision or None)
        except OSError:
            return None  # what is wrong with the hub id is said when it is loaded
    if path is None:
        return None
    try:
        return dict(json.loads(Path(path).read_text(encoding="utf-8")))
    except ValueError as error:
        raise ValueError(f"{path!r} is not JSON: {error}") from None
