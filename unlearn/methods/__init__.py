"""Unlearning methods, by name. Each is one page: its formula, its options, and a function from a recipe to a run directory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unlearn.recipe import Recipe
from unlearn.registry import METHODS, Method, method_of

__all__ = ["METHODS", "Method", "method_of", "run"]


def run(recipe: Recipe, *, callbacks: Sequence[Any] = ()) -> Path:
    """Runs a recipe by its method, or goes on with one that was interrupted; returns the folder of the checkpoints.

    `callbacks`: `transformers.TrainerCallback`s for the last fine-tune. Raises ValueError: something the recipe names is missing or does
    not fit.
    """
    checkpoints: Path = method_of(recipe.method).module.run(recipe, callbacks=callbacks)
    return checkpoints
