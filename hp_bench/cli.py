"""`hp-bench`: one command a module of `hp_bench.commands`; what a command needs is imported when it runs, so that `--help` takes no time.

stdout holds results, stderr log and progress. Exit codes: 0 done, 1 the run failed, 2 the user's mistake.
"""

import gc
import logging
import re
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hp_bench import __version__
from hp_bench.commands.options import declared
from hp_bench.progress import quiet_imports
from unlearn.exits import guarded

#: Each a module of `hp_bench.commands` with a function of its name, in the order of --help.
_COMMANDS = (
    "doctor", "score", "curve", "compare", "stress", "inspect", "demo", "leaderboard", "judge", "fetch", "probes", "report", "tasks"
)  # fmt: skip

#: Objects between two looks for garbage. Python's 700 make the imports of a command a fifth slower, and nothing is there to be freed.
_OBJECTS = 100_000

#: Options that take one key=value or more, as lm_eval's do.
_OF_PAIRS = ("--metadata", "--engine-arg", "--set", "-s", "--field")


class _Commands(TyperGroup):
    """Has `--metadata a=1 b=2` mean `--metadata a=1 --metadata b=2`, so that no key=value is taken for a model."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        spread: list[str] = []
        option = ""
        for word in args:
            pair = re.match(r"\w+=", word) is not None and not Path(word).exists()
            if option and pair and spread[-1] != option:
                spread.append(option)
            option = word if word in _OF_PAIRS else option if pair else ""
            spread.append(word)
        return super().parse_args(ctx, spread)


app = typer.Typer(
    cls=_Commands,
    help="Has this language model really forgotten? After arXiv:2310.02238.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False, rich_markup_mode=None, context_settings={"max_content_width": 120},
)  # fmt: skip


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print more messages.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    quiet_imports()
    logging.getLogger("hp_bench").setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO)


for name in _COMMANDS:
    app.command()(declared(getattr(import_module(f"hp_bench.commands.{name}"), name)))


def main() -> None:
    """Entry point: a user's mistake is one sentence and exit code 2."""
    gc.set_threshold(_OBJECTS, 20, 20)
    guarded(app, "hp-bench")
