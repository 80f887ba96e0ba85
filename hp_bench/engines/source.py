"""What a user calls a model -> where its weights are: a folder, a hub id and revision, or an unmerged adapter on top of one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from unlearn.files import find_model, json_object


@dataclass(frozen=True)
class Source:
    """Where a model's weights are: folder (absolute) or hub id; branch, tag or commit of a hub id, "" for a folder; and the model under an
    unmerged adapter, None for a whole model.
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
    """The source of a folder, hub id, or hub id@revision, of a whole model or of an unmerged PEFT adapter.

    `base`: the model under an adapter; default: what its adapter_config.json names. Raises ValueError: a folder does not exist, its
    config.json is broken, or an adapter names no model to put it on.
    """
    model = find_model(model)
    name, separator, revision = model.rpartition("@")
    if Path(model).is_dir():
        name, revision = str(Path(model).resolve()), ""
    elif not separator:
        name, revision = model, ""
    if Path(name).is_dir():  # transformers would blame the tokenizer
        configs = [path for file in ("config.json", "adapter_config.json") if (path := Path(name) / file).is_file()]
        if not configs:
            inside = "; `hp-bench curve` scores its checkpoints" if any(Path(name).rglob("checkpoint-*")) else ""
            raise ValueError(f"{name!r} holds no model: no config.json and no adapter_config.json{inside}")
        json_object(configs[0])
    config = _adapter_config(name, revision)
    if config is None:
        return Source(name, revision)
    under = str(base) if base is not None else config.get("base_model_name_or_path") or ""
    if not under:
        raise ValueError(f"adapter {model!r} names no base model: give it (--base)")
    beside = Path(name) / under
    return Source(name, revision, base=locate(beside if not Path(under).is_dir() and beside.is_dir() else under))


def stored_dtype(source: Source) -> str:
    """Type of a model's weights on disk, such as float32; "" if its config does not say."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(source.whole.path, **source.whole.options)
    except Exception:  # a config's own checks have errors of their own; said when the model is loaded
        return ""
    return str(getattr(config, "dtype", None) or "").removeprefix("torch.")


def widest(dtypes: list[str]) -> str:
    """The type that holds the numbers of all of these exactly: float32 if they differ; "auto" if none is known."""
    known = {dtype for dtype in dtypes if dtype}
    if len(known) <= 1:
        return next(iter(known), "auto")
    return "float64" if "float64" in known else "float32"


def _adapter_config(name: str, revision: str) -> dict[str, Any] | None:
    from transformers.utils.peft_utils import find_adapter_config_file

    try:
        path = find_adapter_config_file(name, revision=revision or None)
    except OSError:
        return None  # what is wrong with the hub id is said when it is loaded
    return None if path is None else json_object(Path(path))


_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")

_SINGLE = ("model.safetensors", "pytorch_model.bin", "adapter_model.safetensors", "adapter_model.bin")


def weight_files(folder: Path) -> list[Path]:
    """The weight files that a folder ought to hold, by its index if there is one; empty if there are none."""
    for name in _INDEXES:
        if (folder / name).is_file():
            shards = json_object(folder / name).get("weight_map", {}).values()
            return [folder / shard for shard in sorted(set(shards))]
    return [folder / name for name in _SINGLE if (folder / name).is_file()]


def require_whole(source: Source) -> None:
    """Raises ValueError if a local model lacks a weight file, one is cut short, or its generation settings are none."""
    folder = Path(source.path)
    if not folder.is_dir():  # the files of a hub id are the hub's business
        return
    files = weight_files(folder)
    if not files:
        raise ValueError(f"{source.path!r} holds no weights: no model.safetensors, no index of shards, no adapter")
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise ValueError(
            f"{source.path!r} lacks {len(missing)} of its {len(files)} weight files: {', '.join(missing[:3])}"
        )
    for file in files:
        try:
            if file.suffix == ".safetensors":
                with safe_open(file, framework="pt"):  # which looks whether the file is as long as its header says
                    pass
        except (OSError, SafetensorError):
            raise ValueError(f"weight file {file.name} of {source.path!r} is cut short or broken") from None
    if (settings := folder / "generation_config.json").is_file():
        from transformers import GenerationConfig

        try:
            GenerationConfig(**json_object(settings))
        except TypeError as error:
            raise ValueError(f"{str(settings)!r} holds a value of a wrong type: {error}") from None


def tensors_of(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Name and tensor of a folder's weights, one at a time."""
    for file in weight_files(folder):
        if file.suffix == ".safetensors":
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 (not a dict)
                    yield name, tensors.get_tensor(name)
        else:
            yield from torch.load(file, map_location="cpu", weights_only=True, mmap=True).items()


def require_sound(source: Source) -> None:
    """Raises ValueError unless a local model's weights are all there, and numbers; an adapter's are its own alone."""
    require_whole(source)
    if Path(source.path).is_dir():
        require_finite(tensors_of(Path(source.path)), source.name)


def require_finite(tensors: Iterable[tuple[str, torch.Tensor]], model: str) -> None:
    """Raises ValueError naming the first tensor that holds NaN or infinity. Quantised tensors are not looked into."""
    for name, tensor in tensors:
        plain = type(tensor) in (torch.Tensor, torch.nn.Parameter) and tensor.is_floating_point() and not tensor.is_meta
        if plain and tensor.element_size() > 1 and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"the weights of {model!r} are no numbers: {name} holds NaN or infinity")
