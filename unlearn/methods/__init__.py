"""Unlearning methods, by name. Each is one page: a function from a recipe to a run directory."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from unlearn.recipe import Recipe

#: A method: runs (or resumes) a recipe and returns the folder of its checkpoints.
Method = Callable[..., Path]


def _whp(recipe: Recipe, *, callbacks: Sequence[Any] = ()) -> Path:
    from unlearn.methods.whp import run

    return run(recipe, callbacks=callbacks)


METHODS: Mapping[str, Method] = {"whp": _whp}
