"""What tells model folders apart: a digest of weights, config and tokenizer."""

import hashlib
from pathlib import Path

#: A weight file up to this size is read whole; of a larger one, `_PIECE` bytes of every MiB.
_WHOLE, _PIECE = 64 << 20, 16 << 10

#: Files beside the weights that can change what a model says.
_SETTINGS = (
    "config.json", "generation_config.json", "adapter_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
)  # fmt: skip


def model_fingerprint(model: str | Path) -> str:
    """Short digest of a model folder: its weight files (large ones at every MiB, so that a change of one layer shows), its config and
    its tokenizer. "" of a folder without weights. A hub id stands for itself.
    """
    folder = Path(model)
    if not folder.is_dir():
        return str(model)
    files = sorted(file for file in folder.iterdir() if file.suffix in (".safetensors", ".bin"))
    weights = [file for file in files if file.name != "training_args.bin"]
    if not weights:
        return ""
    digest = hashlib.sha256()
    for file in [*weights, *(folder / name for name in _SETTINGS if (folder / name).is_file())]:
        size = file.stat().st_size
        digest.update(f"{file.name} {size} ".encode())
        with file.open("rb") as stream:
            for start in range(0, size, 1 << 20):
                stream.seek(start)
                digest.update(stream.read(1 << 20 if size <= _WHOLE else _PIECE))
    return digest.hexdigest()[:16]
