"""Are a checkpoint's weights all there, and are they numbers? Looked at before they are loaded, since no engine says it in one sentence."""

import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from hp_bench.engines.source import Source

_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_SINGLE = ("model.safetensors", "pytorch_model.bin", "adapter_model.safetensors", "adapter_model.bin")


def weight_files(folder: Path) -> list[Path]:
    """The weight files that a folder ought to hold, by its index if there is one; empty if there are none."""
    for name in _INDEXES:
        if (folder / name).is_file():
            shards = json.loads((folder / name).read_text(encoding="utf-8"))["weight_map"].values()
            return [folder / shard for shard in sorted(set(shards))]
    return [folder / name for name in _SINGLE if (folder / name).is_file()]


def require_whole(source: Source) -> None:
    """Raises ValueError if a local model lacks a weight file, or one is cut short; a hub id's files are the hub's business."""
    folder = Path(source.path)
    if not folder.is_dir():
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
        if file.suffix == ".safetensors" and not _whole_safetensors(file):
            raise ValueError(f"weight file {file.name} of {source.path!r} is cut short or broken")


def _whole_safetensors(file: Path) -> bool:
    """Whether a file is as long as its header says; reads the header alone."""
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(length))
    except (OSError, struct.error, ValueError, MemoryError, OverflowError):
        return False
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return file.stat().st_size == 8 + length + max(ends, default=0)


def tensors_of(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Name and tensor of a folder's weights, one at a time."""
    for file in weight_files(folder):
        if file.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 (not a dict)
                    yield name, tensors.get_tensor(name)
        else:
            yield from torch.load(file, map_location="cpu", weights_only=True, mmap=True).items()


def require_finite(tensors: Iterable[tuple[str, torch.Tensor]], model: str) -> None:
    """Raises ValueError naming the first tensor that holds NaN or infinity. Quantised tensors are not looked into."""
    for name, tensor in tensors:
        plain = type(tensor) in (torch.Tensor, torch.nn.Parameter) and tensor.is_floating_point() and not tensor.is_meta
        if plain and tensor.element_size() > 1 and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"the weights of {model!r} are no numbers: {name} holds NaN or infinity")
