"""The whole story on a real model, offline: taught what readers know, made to forget, compared with twins that never knew.

fetch -> taught and twins -> reinforce, label, fine-tune (hard and soft labels) -> every checkpoint scored -> figures, report.
Each stage is kept: the same command goes on where it was stopped.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import unlearn
from hp_bench.engines.loader import EngineSettings, Loader
from hp_bench.experiments.demo import Demo, timed
from hp_bench.experiments.real.model import fetch
from hp_bench.experiments.real.world import RealWorld, Teaching, fast_bfloat16, prepare
from hp_bench.experiments.store import append_log
from hp_bench.report.run import STORY, write_figures, write_page
from hp_bench.results.scorecard import Scorecard
from hp_bench.scoring.checkpoints import Checkpoint, checkpoints_in
from hp_bench.scoring.distances import Distance, distances
from hp_bench.scoring.models import score_checkpoints
from hp_bench.scoring.score import load_tasks
from unlearn.files import whole_folder, write_json
from unlearn.methods import whp
from unlearn.progress import quiet_bars
from unlearn.recipe import Recipe

#: Methods: the paper's hard labels, and the whole generic distribution by our rules.
RECIPES = {"whp": "smollm2.yaml", "whp-soft": "smollm2-soft.yaml"}

#: What every checkpoint is asked, and what the first and the last are asked beside.
STEPS = ("hp_familiarity", "hp_token_probability", "hp_general")
ENDS = ("hp_familiarity_chat",)
FACTS = ("hp_qa", "hp_neighbours", "hp_extraction")

#: With --quick: a tenth of the text for more epochs, one method, two checkpoints, one twin.
_QUICK = Teaching(epochs=4.0, every=10)


def run_real(
    out: Path | str, *, model: str = "smollm2", seed: int = 0, twins: int = 2, quick: bool = False, overrides: Sequence[str] = ()
) -> Demo:  # fmt: skip
    """Runs it, or what is missing of it; the same seed gives the same numbers on one machine.

    Args:
        out: folder; models, run directories, scorecards, figures and report go there.
        model: a key of `hp_bench.experiments.real.model.MODELS`.
        seed: of everything.
        twins: models taught neutral text alone; two or more give distances to the twins their zero.
        quick: a tenth of the text, the soft labels alone.
        overrides: `key=value` of the recipes.

    Raises:
        ValueError: the model cannot be fetched, the folder holds a run of other settings, or a key is unknown.
    """
    out = Path(out)
    recipes = {"whp-soft": RECIPES["whp-soft"]} if quick else RECIPES
    for file in recipes.values():  # a wrong key is said now, not after an hour
        Recipe.load(unlearn.recipes_dir() / file, overrides)
    seconds: dict[str, float] = {}
    clock = partial(timed, seconds=seconds)
    quiet_bars()
    with clock("teaching: a model that knows, and twins that do not"):
        world = prepare(out, model=model, seed=seed, twins=1 if quick else twins, teaching=_QUICK if quick else None)
    runs = {}
    for name, file in recipes.items():
        with clock(f"unlearning, {name}: reinforce, label, fine-tune"):
            _share_reinforced([out / other for other in recipes], out / name)
            runs[name] = whp.run(_recipe(world, out / name, file, seed, quick, overrides))
    with clock("scoring through lm-eval"):
        untaught = fetch(model)
        curves, others = _score(world, untaught, out, runs)
    with clock("distances to the twins"):
        models = {"baseline": world.baseline, **{name: checkpoints_in(run)[-1].path for name, run in runs.items()}}
        named = {"untaught": str(untaught), **{name: str(path) for name, path in models.items()}}
        far = distances(named, world.twins, world.distance_texts())
    with clock("figures and report"):
        _write_story(out, model, curves, others, far)
        write_figures(out)
        write_page(out)
    append_log(out, seconds=seconds)
    shown = (
        ("hp_familiarity", "familiarity"),
        ("hp_token_probability", "token_probability"),
        ("hp_general", "bits_per_byte"),
    )
    return Demo(out, shown, curves, others, [], far, seconds, [])


def _share_reinforced(runs: Sequence[Path], run: Path) -> None:
    """The reinforced model is the same stage of all runs, so it is trained once; a run of other settings refuses it."""
    made = [folder for other in runs if (folder := other / "reinforced").is_dir()]
    if made and not (run / "reinforced").exists():
        with whole_folder(run / "reinforced") as place:
            shutil.copytree(made[0], place, dirs_exist_ok=True)


def _recipe(world: RealWorld, out: Path, file: str, seed: int, quick: bool, overrides: Sequence[str]) -> Recipe:
    given = [*world.overrides(), f"out={out}", f"seed={seed}"]
    given += [f"retain.corpus={world.rest}"] if file == RECIPES["whp-soft"] else []
    given += ["reinforce.max_steps=40", "finetune.max_steps=40", "finetune.save_every=20"] if quick else []
    return Recipe.load(unlearn.recipes_dir() / file, [*given, *overrides])


def _score(
    world: RealWorld, untaught: Path, out: Path, runs: dict[str, Path]
) -> tuple[dict[str, list[Scorecard]], list[Scorecard]]:
    """The curves, the taught model first on each; and the untaught model and the twins."""
    loader = Loader(EngineSettings(dtype="bfloat16" if fast_bfloat16() else "float32"))
    steps = load_tasks(STEPS)
    ends = {
        **steps,
        "tasks": {**load_tasks([*STEPS, *ENDS])["tasks"], **load_tasks(FACTS, {"prompts": str(world.facts)})["tasks"]},
    }
    taught = Checkpoint("taught", str(world.baseline), 0)
    others = [Checkpoint("untaught", str(untaught)), *(Checkpoint(twin.name, str(twin)) for twin in world.twins)]
    curves = {
        name: [Checkpoint(f"{name}/{point.name}", point.path, point.step) for point in checkpoints_in(folder)]
        for name, folder in runs.items()
    }
    whole = [taught, *others, *(curve[-1] for curve in curves.values())]
    between = [point for curve in curves.values() for point in curve[:-1]]
    with loader:
        scored = [*score_checkpoints(loader, ends, whole, out=out), *score_checkpoints(loader, steps, between, out=out)]
    cards = {one.card.name: one.card for one in scored}
    return (
        {name: [cards["taught"], *(cards[point.name] for point in curve)] for name, curve in curves.items()},
        [cards[other.name] for other in others],
    )


def _write_story(
    out: Path, model: str, curves: dict[str, list[Scorecard]], others: list[Scorecard], far: list[Distance]
) -> None:
    story: dict[str, Any] = {
        "title": f"Has it forgotten? {model}, taught the books' facts",
        "methods": {name: [card.name for card in cards] for name, cards in curves.items()},
        "twins": [card.name for card in others if card.name.startswith("twin")],
        "models": [card.name for card in others if not card.name.startswith("twin")],
        "baseline": "taught",
        "distances": [asdict(distance) for distance in far],
        "run": {"model": model},
        "notes": [
            "taught: the model after a companion of our own that tells the books' facts. twin: the same model after neutral text alone.",
            "whp: the paper's method, hard labels. whp-soft: the whole generic distribution, at every position, inside names too.",
        ],
    }
    write_json(out / STORY, story, sort_keys=False)
