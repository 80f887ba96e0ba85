"""`hp-bench report`."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument

from hp_bench.commands.options import Json, print_json


def report(
    run: Annotated[Path, Argument(help="Folder that holds scorecards/ and samples/.")], as_json: Json = False
) -> None:
    """Draws figures and writes report.html from scorecards.

    The page needs no other file.
    """
    from hp_bench.report.run import write_figures, write_page

    written = [*write_figures(run), write_page(run)]
    if as_json:
        print_json([str(path) for path in written])
        return
    for path in written:
        typer.echo(str(path))
