"""Progress on stderr, with an estimate of the time left: bars on a terminal, a line every half minute in a log file."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from datetime import timedelta
from functools import partial

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

console = Console(stderr=True)

#: Seconds between two lines of progress where stderr is no terminal.
_LINE_EVERY = 30.0

current_display: ContextVar[Progress | None] = ContextVar("current_display", default=None)


@contextmanager
def progress_bars(*, enabled: bool = True) -> Iterator[Progress]:
    """A display of progress on stderr; nested uses share the outermost."""
    outer = current_display.get()
    if outer is not None:
        yield outer
        return
    left = TimeLeft()
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), left,
    )  # fmt: skip
    bars = Progress(*columns, console=console, transient=True, speed_estimate_period=120)
    drawn, ended = console.is_interactive or console.is_jupyter, threading.Event()
    if enabled and not drawn:
        threading.Thread(target=_say_lines, args=(bars, left, ended), daemon=True).start()
    with bars if enabled and drawn else nullcontext(), shown_by(bars):  # elsewhere rich would end with a blank line
        try:
            yield bars
        finally:
            ended.set()


@contextmanager
def progress_row(description: str, total: int, *, enabled: bool = True) -> Iterator[Callable[..., None]]:
    """A row of the display until the block ends, and what moves it: by one step a call, or by as many as it is given."""
    with progress_bars(enabled=enabled) as bars:
        row = bars.add_task(description, total=total)
        try:
            yield partial(bars.advance, row)
        finally:
            bars.remove_task(row)


class TimeLeft(ProgressColumn):
    """rich's estimate of the time left, and no less than has passed since the last step: it grows while nothing moves."""

    def __init__(self) -> None:
        super().__init__()
        # steps done, and after how many seconds they were first seen to be
        self._last: dict[TaskID, tuple[float, float]] = {}

    def render(self, task: Task) -> Text:
        """Hours, minutes and seconds; "" where there is no estimate."""
        now = task.elapsed or 0.0
        if self._last.get(task.id, (None, now))[0] != task.completed:
            self._last[task.id] = task.completed, now
        left = task.time_remaining
        if left and not task.finished:
            left = max(left, now - self._last[task.id][1])
        return Text("" if left is None else str(timedelta(seconds=int(left))), style="progress.remaining")


def _say_lines(progress: Progress, column: TimeLeft, ended: threading.Event) -> None:
    while not ended.wait(_LINE_EVERY):
        for task in progress.tasks:
            left = f", {time} left" if (time := str(column.render(task))) else ""
            of = "" if task.total is None else f" of {task.total:.0f}"
            passed = timedelta(seconds=int(task.elapsed or 0))
            line = f"{task.description.strip()}: {task.completed:.0f}{of}, {passed}{left}"
            console.print(line, soft_wrap=True, highlight=False, markup=False)


@contextmanager
def shown_by(display: Progress) -> Iterator[None]:
    """Has every `progress_bars` inside draw on a display of the caller's: a rich one, or an object with its methods."""
    token = current_display.set(display)
    try:
        yield
    finally:
        current_display.reset(token)


def quiet_bars() -> None:
    """Switches the libraries' bars off: they would fight with ours."""
    import datasets
    import transformers

    datasets.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
