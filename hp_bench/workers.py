"""Calls in processes of their own, as many at a time as there are cores, their progress drawn here."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from queue import Empty
from typing import Any, cast

import psutil
from rich.progress import Progress, TaskID

from hp_bench.progress import quiet_imports
from unlearn.exits import ProcessKilled
from unlearn.progress import progress_bars, quiet_bars, shown_by

#: Seconds between two looks at whether a call has ended.
_BEAT = 0.2


class Relay:
    """As much of `rich.progress.Progress` as a stage uses, drawn by another process, to which the queue leads; `name`: before every row."""

    def __init__(self, queue: Any, name: str) -> None:
        self._queue, self._name, self._rows = queue, name, 0
        self._steps: dict[int, float] = {}
        self._sent = 0.0

    def add_task(self, description: str, **options: Any) -> TaskID:
        """A row."""
        self._rows += 1
        self._queue.put(("add", (self._name, self._rows), {"description": f"{self._name}: {description}", **options}))
        return TaskID(self._rows)

    def update(self, row: TaskID, **changes: Any) -> None:
        """Any change of a row."""
        self._queue.put(("update", (self._name, int(row)), changes))

    def advance(self, row: TaskID, advance: float = 1) -> None:
        """Steps done; told a few times a second."""
        self._steps[int(row)] = self._steps.get(int(row), 0) + advance
        if time.monotonic() - self._sent > _BEAT:
            for number, steps in self._steps.items():
                self._queue.put(("advance", (self._name, number), {"advance": steps}))
            self._steps, self._sent = {}, time.monotonic()

    def remove_task(self, row: TaskID) -> None:
        """The row is done."""
        self._steps.pop(int(row), None)
        self._queue.put(("remove", (self._name, int(row)), {}))


def side_by_side(
    calls: Mapping[str, tuple[Callable[..., Any], tuple[Any, ...]]], *, gib: float = 1.0
) -> dict[str, Any]:
    """Runs calls (a function of a module, its arguments) in processes of their own, and returns what each returned, by name.

    Each runs on one thread, and what it shows is drawn by this process. No calls, no processes. `gib`: memory that a call may need; no more
    run at a time than the machine has cores, and has memory free for.

    Raises:
        ProcessKilled: one of the processes ended without an answer; the others are ended too.
        Exception: what the first call to fail raised; the others are ended.
    """
    if not calls:
        return {}
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, progress_bars() as bars:
        queue = manager.Queue()
        rows: dict[Any, TaskID] = {}
        room = int(psutil.virtual_memory().available / (gib * 2**30))
        workers = min(len(calls), os.cpu_count() or 1, max(1, room))
        with ProcessPoolExecutor(workers, mp_context=context, initializer=quiet_imports) as pool:
            futures: dict[str, Future[Any]] = {
                name: pool.submit(_call, call, arguments, Relay(queue, name))
                for name, (call, arguments) in calls.items()
            }
            try:
                while not all(future.done() for future in futures.values()):
                    if any(future.done() and future.exception() for future in futures.values()):
                        break
                    _draw(queue, bars, rows)
                for future in futures.values():
                    if future.done():
                        future.result()  # raises what it raised, before any that still runs is waited for
                return {name: future.result() for name, future in futures.items()}
            except BaseException as error:
                for process in (pool._processes or {}).values():
                    process.terminate()
                if isinstance(error, BrokenProcessPool):
                    killed = [
                        n for n, one in futures.items() if one.done() and isinstance(one.exception(), BrokenProcessPool)
                    ]
                    raise ProcessKilled(f"one of {', '.join(killed)}") from error
                raise
            finally:
                for row in rows.values():
                    bars.remove_task(row)


def _call(call: Callable[..., Any], arguments: tuple[Any, ...], relay: "Relay") -> Any:
    """In the process of the call's own, which ends when the one that asked for it is killed."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    quiet_bars()
    with one_thread(), shown_by(cast(Progress, relay)):
        try:
            return call(*arguments)
        finally:
            from unlearn.cpu import give_back

            give_back()  # it may wait long for the next call


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Matrices as small as the miniature's gain nothing from a second thread, and so no number depends on how many there are."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _draw(queue: Any, bars: Any, rows: dict[Any, TaskID]) -> None:
    try:
        what, key, values = queue.get(timeout=_BEAT)
    except Empty:
        return
    if what == "add":
        rows[key] = bars.add_task(**values)
    elif key in rows and what == "remove":
        bars.remove_task(rows.pop(key))
    elif key in rows:
        getattr(bars, what)(rows[key], **values)
