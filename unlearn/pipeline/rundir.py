"""A run directory: each stage under a temporary name until it is finished, with a fingerprint of what it was made from.

    recipe.yaml  run.json  anchors.jsonl  blocks/  reinforced/  labels/  checkpoints/checkpoint-<optimiser steps>/  log.jsonl

`blocks/` holds what the corpora were cut into, tokenised. A stage whose folder exists is finished. Asked for again with an unchanged
fingerprint it is skipped; with changed inputs it is an error that names what changed. Dates and durations go to `log.jsonl` alone:
everything else is reproducible byte for byte.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unlearn.files import append_log, require_writable, write_json, write_text
from unlearn.models import processes

FINGERPRINT = "fingerprint.json"
RECORD = "run.json"


class RunDirectory:
    """Stages of a run, in a folder that is made if it is not there; rank 0 alone writes."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._main = processes().is_main_process
        self._pending: dict[str, str] = {}
        if self._main:
            require_writable(path, "out folder")
            self.path.mkdir(parents=True, exist_ok=True)

    def stage(self, name: str, inputs: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
        """Makes the folder of that name unless it is finished, and returns it.

        `inputs` are plain values that decide its content; `make` is called with the folder's temporary name, which may hold what an
        interrupted run left there. Raises ValueError: the stage was finished, or begun, from other inputs.
        """
        final, temporary = self.path / name, self.path / f"{name}.tmp"
        if final.exists():
            self._same_inputs(final, inputs, name)
            return final
        if self._main:
            self._same_inputs(temporary, inputs, name)
            self._settle()
            write_json(temporary / FINGERPRINT, inputs)
        began = time.monotonic()
        processes().wait_for_everyone()
        make(temporary)
        processes().wait_for_everyone()
        if self._main:
            temporary.replace(final)
            seconds, ranks = round(time.monotonic() - began, 1), processes().num_processes
            append_log(self.path / "log.jsonl", stage=name, seconds=seconds, ranks=ranks)
        processes().wait_for_everyone()
        return final

    def claim(self, name: str, inputs: Mapping[str, Any]) -> Path:
        """A folder whose files appear one by one (checkpoints); raises ValueError if it was begun from other inputs."""
        folder = self.path / name
        if self._main:
            self._same_inputs(folder, inputs, name)
            self._settle()
            write_json(folder / FINGERPRINT, inputs)
        return folder

    def write(self, name: str, text: str) -> None:
        """A small file that says what the run is: written now if there is none, and replaced only once a stage has taken its inputs.

        So a run that is refused, having been started with other inputs, leaves what the finished one says of itself as it was.
        """
        path = self.path / name
        if self._main and not path.exists():
            write_text(path, text)
        elif self._main:
            self._pending[name] = text

    def _settle(self) -> None:
        for name in list(self._pending):
            write_text(self.path / name, self._pending.pop(name))

    def _same_inputs(self, folder: Path, inputs: Mapping[str, Any], name: str) -> None:
        path = folder / FINGERPRINT
        if not path.exists():
            if folder.exists() and self._main and folder.suffix == ".tmp":
                shutil.rmtree(folder)  # killed before it had a fingerprint: nothing is in it
            return
        before, now = json.loads(path.read_text()), json.loads(json.dumps(inputs))
        if before != now:
            changed = "; ".join(_changes(before, now)[:4])
            raise ValueError(
                f"{name} in {str(self.path)!r} was made from other inputs ({changed}): choose another run directory, "
                f"or delete {folder}"
            )


def _changes(before: Any, now: Any, key: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*before, *(k for k in now if k not in before)]
        return [c for k in keys for c in _changes(before.get(k), now.get(k), f"{key}.{k}" if key else k)]
    return [] if before == now else [f"{key}: {before!r} then, {now!r} now"]
