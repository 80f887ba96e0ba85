"""The leaderboard's rows as runs of `unlearn`: row and setting -> recipe -> checkpoints -> a model that the instruments take."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from rich.progress import Progress
from transformers import TrainerCallback

import unlearn
from hp_bench import miniature
from hp_bench.experiments.measure import drawn
from hp_bench.experiments.rows import Row, Rows
from hp_bench.experiments.store import Place, clear_run, digest, identity_of, stage_seconds
from hp_bench.experiments.workers import Relay
from hp_bench.miniature.settings import Plan
from unlearn.pipeline import stages
from unlearn.progress import shown_by
from unlearn.recipe import Recipe
from unlearn.registry import method_of

_TARGET = "harry-potter"

#: What decides where a run is, not what it gives.
_PLACES = ("model", "corpus", "anchors", "out", "retain")


def rows_in(file: Path | None = None) -> Rows:
    """The rows of a file; of `recipes/leaderboard.yaml` where none is named. Raises ValueError as `Rows.load`."""
    return Rows.load(file or unlearn.recipes_dir() / "leaderboard.yaml")


def checked(rows: Mapping[str, Row], out: Path) -> dict[str, Recipe]:
    """Builds every recipe, so that a wrong key is said now and not after minutes of training; returns those of the settings chosen.

    Raises:
        ValueError: a recipe has a wrong key or value; row and setting are named.
    """
    world = miniature.Miniature(out, Plan(_TARGET, 0, miniature.Settings()), ())
    for name, row in rows.items():
        for setting in row.tried:
            try:
                recipe_of(row, setting, world, out, 0)
            except ValueError as error:
                raise ValueError(f"row {name}, setting {setting}: {error}") from None
    return {name: recipe_of(row, row.setting, world, out, 0) for name, row in rows.items()}


def recipe_of(row: Row, setting: Mapping[str, Any], world: miniature.Miniature, run: Path, seed: int) -> Recipe:
    """A row's recipe with a setting, on a miniature."""
    places = [f"model={world.baseline}", f"corpus={world.corpus}", f"anchors={world.anchors}", f"out={run}"]
    overrides = [*places, f"seed={seed}", *row.overrides(setting, world.rest)]
    return Recipe.load(unlearn.recipes_dir() / row.recipe, overrides)


def identity_of_run(world: miniature.Miniature, recipe: Recipe, step: int | None = None) -> str:
    """Short digest of everything that decides what a run gives, and of the checkpoint taken."""
    content = recipe.model_dump(mode="json")
    kept = {key: value for key, value in content.items() if key not in _PLACES}
    retain = {**content["retain"], "corpus": ""} if content["retain"] else None
    return identity_of(world, {"recipe": kept, "retain": retain, "step": step})


def shared_by(place: Place, recipe: Recipe) -> Path:
    """Where the reinforced model of all rows that reinforce alike is made."""
    alike = {"training": recipe.reinforce.model_dump(mode="json"), "block_tokens": recipe.labels.block_tokens}
    return place.folder / f"reinforced-{digest(alike)}"


class _Until(TrainerCallback):
    """Ends a fine-tune at a step; the schedule stays that of the whole."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ends it, its checkpoint written."""
        control.should_training_stop |= state.global_step >= self._step


def trained(recipe: Recipe, shared: Path, *, until: int = 0) -> tuple[Path, float | None]:
    """Runs a recipe, or what is missing of it.

    Args:
        recipe: of a row.
        shared: run directory with the reinforced model that it may take.
        until: the checkpoint wanted; what would be trained behind it is left out. 0: none.

    Returns:
        The folder of its checkpoints, and tokens of the target a second of its fine-tune, where it has one that was not interrupted.
    """
    run = Path(recipe.out)
    clear_run(run, recipe.to_yaml())
    if until and (run / "finetune").exists() and not (run / "checkpoints" / f"checkpoint-{until}").exists():
        shutil.rmtree(run)  # it had ended at an earlier one
    if recipe.reinforces and not (run / "reinforced").exists() and (shared / "reinforced").exists():
        shutil.rmtree(run / "reinforced.copy", ignore_errors=True)
        shutil.copytree(shared / "reinforced", run / "reinforced.copy")
        (run / "reinforced.copy").replace(run / "reinforced")
    whole = not (run / "finetune.tmp").exists()
    checkpoints = unlearn.run(recipe, callbacks=[_Until(until)] if until else [])
    seconds = stage_seconds(run, "finetune") if whole and method_of(recipe.method).finetune else None
    if seconds is None:
        return checkpoints, None
    blocks, training = stages.Target.open(recipe, keep=True).blocks, recipe.finetune
    tokens = (until or training.max_steps) * training.batch_size * training.accumulation * blocks.tokens() / len(blocks)
    return checkpoints, round(tokens / max(seconds, 0.1), 1)


def model_of(recipe: Recipe, checkpoint: Path) -> tuple[Any, Path | None]:
    """A checkpoint as the instruments take it: its folder, or a live model and where its tokenizer is."""
    if not method_of(recipe.method).live:
        return checkpoint, None
    return unlearn.load_unlearned(checkpoint, device="cpu", dtype="float32"), checkpoint


@contextmanager
def drawn_too(relay: Relay) -> Iterator[None]:
    """As `drawn`, for what `unlearn` shows, too."""
    with drawn(relay), shown_by(cast(Progress, relay)):
        yield
