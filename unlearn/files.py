"""Files and folders that are whole or not there: written under a temporary name beside, then renamed.

Where a model of a name is, and what tells model folders apart: a digest of weights, config and tokenizer.
"""

import functools
import hashlib
import json
import os
import re
import reprlib
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

if TYPE_CHECKING:
    from datasets import Features


@contextmanager
def whole_file(path: Path | str) -> Iterator[Path]:
    """The temporary name to write under; it takes the file's place when the block ends, and is removed if the block raises.

    Folders above it are made. Each process has a temporary name of its own: of two that write the same file, the last one's is there,
    whole. A process that is killed leaves its temporary file behind.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """An empty folder to write into; it gets its name when the block ends, and is removed if the block raises. None has that name yet."""
    temporary = path.with_name(f".{path.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def require_writable(folder: Path | str, what: str = "folder") -> None:
    """Raises ValueError if a folder cannot be made or written to, saying `what` it is; asked before work whose result would be lost."""
    path = Path(folder).absolute()
    there = next(place for place in (path, *path.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as trial:
            trial.write(b"?")
            trial.flush()
    except OSError as error:
        raise ValueError(
            f"{what} {str(folder)!r} cannot be made or written to ({there}: {error.strerror}): choose another one"
        ) from None


def write_text(path: Path | str, text: str) -> None:
    """Writes UTF-8 text, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def json_text(content: Any, *, sort_keys: bool = True) -> str:
    """Same content, same text. Raises ValueError: a number is not finite, and JSON knows no such number."""
    return json.dumps(content, indent=1, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path | str, content: Any, *, sort_keys: bool = True) -> None:
    """Writes JSON, whole or not at all; raises ValueError as `json_text` does."""
    write_text(path, json_text(content, sort_keys=sort_keys))


def append_log(path: Path, **entry: Any) -> None:
    """Adds a line to a log, JSON lines, with the time before the entry."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), **entry}) + "\n")


def write_lines(path: Path | str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes JSON lines, whole or not at all."""
    import jsonlines  # here, so that finding a file costs nothing at start-up

    with whole_file(path) as temporary, jsonlines.open(temporary, "w") as lines:
        lines.write_all(rows)


def json_lines(path: Path | str) -> Iterator[tuple[int, Any]]:
    """The values of a JSON-lines file and the lines that they stand in, from 1; blank lines are passed over.

    Raises ValueError naming file and line: it is not JSON in UTF-8. Raises OSError: the file cannot be read.
    """
    with Path(path).open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    value = json.loads(line)
                except UnicodeDecodeError:
                    raise ValueError(f"{path}, line {number}: not UTF-8 text") from None
                except ValueError:
                    raise ValueError(f"{path}, line {number}: not JSON") from None
                yield number, value


def json_object(path: Path) -> dict[str, Any]:
    """The JSON object that a file holds. Raises ValueError: it holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{str(path)!r} is no JSON object: {reprlib.repr(content)}")
    return content


def write_table(path: Path | str, features: "Features", rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes an Arrow file for `datasets.Dataset.from_file`, a row at a time, whole or not at all."""
    from datasets.arrow_writer import ArrowWriter

    with whole_file(path) as temporary, ArrowWriter(path=str(temporary), features=features) as writer:
        for row in rows:
            writer.write(row)
        writer.finalize()


#: Models that `hp-bench fetch` gets, each of which may be called by its name.
FETCHED = ("smollm2",)


def cache_dir() -> Path:
    """Where fetched models are kept: $HP_BENCH_CACHE, else hp-bench in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hp-bench"
    return Path(os.environ.get("HP_BENCH_CACHE") or default)


def find_model(model: str | Path) -> str:
    """What a user calls a model -> its folder or hub id: where `hp-bench fetch` has put it, or else the name itself.

    A name with one slash is a hub id, unless what stands before the slash is a folder here.

    Raises ValueError: a model can only be a folder, and there is none; it has not been fetched yet; or the name is none.
    """
    path, name = Path(model), str(model)
    if not name.strip():
        raise ValueError("a model's name is empty: write a folder, a hub id or an address")
    if re.match(r"\w+=", name) and not path.exists():
        raise ValueError(f"{name!r} is no model: key=value comes after --metadata (for tasks) or --engine-arg")
    gguf = path if path.suffix == ".gguf" and path.is_file() else next(path.glob("*.gguf"), None)
    if gguf is not None and not (path / "config.json").is_file():
        raise ValueError(
            f"{name!r} is a GGUF file, which is neither scored nor trained: `hp-bench fetch {gguf}` makes a checkpoint of it"
        )
    if path.is_dir():
        return name
    if name in FETCHED:
        if not (cache_dir() / name / "config.json").is_file():
            raise ValueError(f"model {name!r} is not here yet: `hp-bench fetch {name}` downloads it")
        return str(cache_dir() / name)
    if path.is_file():
        raise ValueError(f"model {name!r} is a file; a model is a folder, or for weights the folder that holds them")
    local = isinstance(model, Path) or name.startswith((".", "/", "~")) or name.count("/") > 1 or name.endswith("/")
    if local or ("/" in name and path.parent.is_dir()):
        raise ValueError(f"model folder {name!r} does not exist")
    offline_if_unknown()
    return name


@functools.cache
def offline_if_unknown() -> None:
    """Has the hub's libraries look into their cache alone where the hub's address is not known here: they would try for minutes."""
    import datasets
    from huggingface_hub import constants

    try:
        if not getproxies():
            socket.getaddrinfo(urlsplit(constants.ENDPOINT).hostname, None)
    except OSError:
        constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True


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


def packaged(package: Path, file: str) -> Path:
    """A file that comes with a package, such as "recipes/miniature.yaml": in its folder in a wheel, beside that folder in a checkout.

    Raises FileNotFoundError: it is in neither place.
    """
    for parent in (package, package.parent):
        if (parent / file).is_file():
            return parent / file
    raise FileNotFoundError(f"{file} is neither in {package} nor in {package.parent}: the installation is incomplete")


def recipes_dir() -> Path:
    """Folder of the recipes that come with the package."""
    return packaged(Path(__file__).resolve().parent, "recipes/miniature.yaml").parent


def find_recipe(path: Path | str) -> Path:
    """The packaged file of recipes/ that is called so ("smollm2.yaml", "recipes/smollm2.yaml"), if none is here; else the path itself."""
    path = Path(path)
    ours = str(path.parent) in (".", "recipes") and not path.exists() and (recipes_dir() / path.name).is_file()
    return recipes_dir() / path.name if ours else path
