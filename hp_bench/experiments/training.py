"""The leaderboard's rows as runs of `unlearn`: row and setting -> recipe -> checkpoints -> a model that the instruments take."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

import unlearn
from hp_bench.experiments.measure import Model
from hp_bench.experiments.real.model import MODELS
from hp_bench.experiments.real.world import RealWorld
from hp_bench.experiments.rows import Row, Rows
from hp_bench.experiments.store import MINIATURE, SeedFolder, World, clear_run, digest, identity_of, stage_seconds
from unlearn.files import whole_folder
from unlearn.pipeline import stages
from unlearn.recipe import Recipe
from unlearn.registry import method_of

#: What decides where a run is, not what it gives.
_PATHS = ("model", "corpus", "anchors", "out", "retain")


def rows_in(file: Path | None = None, model: str = MINIATURE) -> Rows:
    """The rows of a file; the packaged ones of the miniature or a real model where none is named.

    Raises ValueError: the model is unknown, or as `Rows.load`.
    """
    if model not in (MINIATURE, *MODELS):
        raise ValueError(f"model {model!r} is unknown; known are {', '.join((MINIATURE, *MODELS))}")
    packaged = "leaderboard.yaml" if model == MINIATURE else f"leaderboard-{model}.yaml"
    return Rows.load(file or unlearn.recipes_dir() / packaged)


def checked(rows: Mapping[str, Row], out: Path) -> dict[str, Recipe]:
    """Builds every recipe, so that a wrong key is said now and not after minutes of training; returns those of the settings chosen.

    Raises ValueError: a recipe has a wrong key or value; row and setting are named.
    """
    world = RealWorld(out, ())  # where a recipe's files are does not matter here
    for name, row in rows.items():
        for setting in row.tried:
            try:
                recipe_of(row, setting, world, out, 0)
            except ValueError as error:
                raise ValueError(f"row {name}, setting {setting}: {error}") from None
    return {name: recipe_of(row, row.setting, world, out, 0) for name, row in rows.items()}


def recipe_of(row: Row, setting: Mapping[str, Any], world: World, run: Path, seed: int) -> Recipe:
    """A row's recipe with a setting, on a world."""
    overrides = [*world.overrides(), f"out={run}", f"seed={seed}", *row.overrides(setting, world.rest)]
    return Recipe.load(unlearn.recipes_dir() / row.recipe, overrides)


def run_of(row: Row, name: str, world: World, folder: SeedFolder) -> tuple[Recipe, str]:
    """The recipe of a row's run with the setting chosen, and what identifies its checkpoint."""
    recipe = recipe_of(row, row.setting, world, folder.run(name), folder.seed)
    return recipe, identity_of_run(world, recipe, row.step)


def identity_of_run(world: World, recipe: Recipe, step: int | None = None) -> str:
    """Short digest of everything that decides what a run gives, and of the checkpoint taken."""
    content = recipe.model_dump(mode="json")
    deciding = {key: value for key, value in content.items() if key not in _PATHS}
    retain = {**content["retain"], "corpus": ""} if content["retain"] else None
    return identity_of(world, {"recipe": deciding, "retain": retain, "step": step})


def shared_by(folder: SeedFolder, recipe: Recipe) -> Path:
    """Where the reinforced model of all rows that reinforce alike is made."""
    alike = {"training": recipe.reinforce.model_dump(mode="json"), "block_tokens": recipe.labels.block_tokens}
    return folder.path / f"reinforced-{digest(alike)}"


class _Until(TrainerCallback):
    """Ends a fine-tune at a step; the schedule stays that of the whole."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ends it, its checkpoint written."""
        control.should_training_stop |= state.global_step >= self._step


def trained(recipe: Recipe, shared: Path, *, until: int = 0) -> tuple[Path, float | None]:
    """Runs a row's recipe, or what is missing of it; what would be trained behind the checkpoint `until`, if it is not 0, is left out.

    `shared`: run directory with the reinforced model that it may take.

    Returns:
        The folder of its checkpoints, and tokens of the target a second of its fine-tune, where it has one that was not interrupted.
    """
    run = Path(recipe.out)
    clear_run(run, recipe.to_yaml())
    if until and (run / "finetune").exists() and not (run / "checkpoints" / f"checkpoint-{until}").exists():
        shutil.rmtree(run)  # it had ended at an earlier one
    if recipe.reinforces:
        share_reinforced(shared, run)
    whole = not (run / "finetune.tmp").exists()
    checkpoints = unlearn.run(recipe, callbacks=[_Until(until)] if until else [])
    seconds = stage_seconds(run, "finetune") if whole and method_of(recipe.method).finetune else None
    if seconds is None:
        return checkpoints, None
    blocks, training = stages.Target.open(recipe, keep=True).blocks, recipe.finetune
    tokens = (until or training.max_steps) * training.batch_size * training.accumulation * blocks.tokens() / len(blocks)
    return checkpoints, round(tokens / max(seconds, 0.1), 1)


def share_reinforced(made: Path, run: Path) -> None:
    """Copies one run's reinforced model, if it has it, into another that has none: that stage is the same in both."""
    if (made / "reinforced").is_dir() and not (run / "reinforced").exists():
        with whole_folder(run / "reinforced") as place:
            shutil.copytree(made / "reinforced", place, dirs_exist_ok=True)


def model_of(name: str, recipe: Recipe, checkpoint: Path, step: int | None = None) -> Model:
    """A checkpoint as the instruments take it: its folder, or a live model."""
    if not method_of(recipe.method).live:
        return Model(name, checkpoint, step)
    return Model(name, unlearn.load_unlearned(checkpoint, device="cpu", dtype="float32"), step, checkpoint)
