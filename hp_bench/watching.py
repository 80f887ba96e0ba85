"""Checkpoints of a training run that is still going on, each as soon as it is whole."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hp_bench.curves import Checkpoint, checkpoints_in

#: What Trainer writes last into a checkpoint.
_LAST = "trainer_state.json"
_POLL = 2.0


@dataclass
class _Seen:
    """What is known of a folder that is being watched."""

    folder: Path
    prefix: str
    done: set[str] = field(default_factory=set)
    signatures: dict[str, frozenset[tuple[str, int, int]]] = field(default_factory=dict)
    last: int = -1


def watch(
    folders: Sequence[Path],
    prefixes: Sequence[str],
    *,
    until: int = 0,
    idle: float = 600.0,
    poll: float = _POLL,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[tuple[int, Checkpoint]]:
    """Yields (number of the folder, checkpoint) as checkpoints become whole, by steps within a folder.

    A checkpoint is whole when Trainer has written its state, or when nothing in it has changed between two looks and its weight files are
    as long as they say.

    Args:
        folders: of `checkpoint-<steps>` folders; they may not be there yet.
        prefixes: put before each checkpoint's name, one a folder.
        until: optimiser steps at which to stop, in every folder; 0: never.
        idle: seconds without a new checkpoint after which to stop.
        poll: seconds between two looks.
        sleep: waits; for tests.
        clock: seconds; for tests.
    """
    watched = [_Seen(folder, prefix) for folder, prefix in zip(folders, prefixes, strict=True)]
    waiting_since = clock()
    while True:
        news = [(number, checkpoint) for number, seen in enumerate(watched) for checkpoint in _whole(seen)]
        for number, checkpoint in news:
            yield number, checkpoint
            watched[number].last = max(watched[number].last, checkpoint.step or 0)
            waiting_since = clock()
        if (until and all(seen.last >= until for seen in watched)) or clock() - waiting_since > idle:
            return
        if not news:
            sleep(poll)


def _whole(seen: _Seen) -> list[Checkpoint]:
    try:
        there = checkpoints_in(seen.folder)
    except ValueError:
        return []
    found = []
    for checkpoint in there:
        if checkpoint.name in seen.done:
            continue
        folder = Path(checkpoint.path)
        before, now = seen.signatures.get(checkpoint.name), _signature(folder)
        seen.signatures[checkpoint.name] = now
        if (folder / _LAST).is_file() or (before == now and _complete(folder)):
            seen.done.add(checkpoint.name)
            found.append(replace(checkpoint, name=seen.prefix + checkpoint.name))
    return found


def _signature(folder: Path) -> frozenset[tuple[str, int, int]]:
    found = set()
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            state = path.stat()
        except FileNotFoundError:
            continue
        found.add((path.name, state.st_size, state.st_mtime_ns))
    return frozenset(found)


def _complete(folder: Path) -> bool:
    """Whether there are weights at all; a checkpoint that stays without a shard is scored, and said to lack it."""
    return any(path.suffix in (".safetensors", ".bin") for path in folder.iterdir())
