"""Calls for processes of their own to make, in a module that takes no time to import: each process imports it anew."""

import logging
import os
import signal
import time
from pathlib import Path


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def answered(number: int) -> int:
    return number + 1


def span(seconds: float) -> tuple[float, float]:
    """When it began and ended."""
    began = time.monotonic()
    time.sleep(seconds)
    return began, time.monotonic()


def slept(done: Path) -> None:
    time.sleep(30)
    done.touch()


def failed() -> None:
    raise ValueError("no such thing")


def waited(said):
    """Says which process it is in, and stays there."""
    said.write_text(str(os.getpid()))
    time.sleep(300)


def said_of_torchao() -> list[bool]:
    """Whether what it says on import is shown: what it lacks, and what is wrong."""
    return [logging.getLogger("torchao").isEnabledFor(level) for level in (logging.WARNING, logging.ERROR)]
