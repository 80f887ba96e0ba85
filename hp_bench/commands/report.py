"""`hp-bench report`."""

from pathlib import Path

import typer

from hp_bench.commands.options import Json, print_json


def report(run: Path, *, as_json: Json = False) -> None:
    """Draws figures and writes report.html from scorecards.

    The page needs no other file.

    Args:
        run: Folder that holds scorecards/ and samples/.
    """
    from hp_bench.report.run import write_figures, write_page

    written = [*write_figures(run), write_page(run)]
    if as_json:
        print_json([str(path) for path in written])
        return
    for path in written:
        typer.echo(str(path))
