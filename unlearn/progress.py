"""Progress on stderr, with an estimate of the time left."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(stderr=True)

current_display: ContextVar[Progress | None] = ContextVar("current_display", default=None)


@contextmanager
def progress_bars(*, enabled: bool = True) -> Iterator[Progress]:
    """A rich progress display on stderr; nested uses share the outermost."""
    outer = current_display.get()
    if outer is not None:
        yield outer
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not enabled) as progress, shown_by(progress):
        yield progress


@contextmanager
def shown_by(display: Progress) -> Iterator[None]:
    """Has every `progress_bars` inside draw on a display of the caller's: a rich one, or an object with its methods."""
    token = current_display.set(display)
    try:
        yield
    finally:
        current_display.reset(token)
