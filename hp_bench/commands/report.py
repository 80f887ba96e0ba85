"""`hp-bench report`."""

from pathlib import Path
from typing import Annotated

import typer

from hp_bench.commands.options import Json


def report(
    run: Annotated[Path, typer.Argument(help="Folder with scorecards/ and samples/.")], as_json: Json = False
) -> None:
    """Scorecards -> curve.png, curve.svg and one self-contained page, report.html."""
    import json

    from hp_bench.report.run import write_figures, write_page

    written = [*write_figures(run), write_page(run)]
    if as_json:
        typer.echo(json.dumps([str(path) for path in written], indent=1))
        return
    for path in written:
        typer.echo(str(path))
