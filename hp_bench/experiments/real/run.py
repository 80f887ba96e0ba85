"""The whole story on a real model, offline: taught what readers know, made to forget, compared with twins that never knew.

fetch -> taught and twins -> reinforce, label, fine-tune (hard and soft labels) -> every checkpoint scored -> figures, report.
Each stage is kept: the same command goes on where it was stopped.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import unlearn
from hp_bench.engines.loader import EngineSettings, Loader
from hp_bench.experiments.demo import Demo, curves_of, ends_of, timed, write_report
from hp_bench.experiments.measure import ON_REAL
from hp_bench.experiments.real.model import fetch
from hp_bench.experiments.real.world import RealWorld, Teaching, fast_bfloat16, prepare
from hp_bench.experiments.store import LOG
from hp_bench.experiments.training import share_reinforced
from hp_bench.results.scorecard import Scorecard
from hp_bench.scoring.checkpoints import Checkpoint
from hp_bench.scoring.distances import distances
from hp_bench.scoring.models import score_checkpoints
from hp_bench.scoring.score import load_tasks
from unlearn.files import append_log
from unlearn.methods import whp
from unlearn.progress import quiet_bars
from unlearn.recipe import Recipe

#: Methods: the paper's hard labels, and the whole generic distribution by our rules.
RECIPES = {"whp": "smollm2.yaml", "whp-soft": "smollm2-soft.yaml"}

#: What every checkpoint is asked, and what the first and the last are asked beside.
STEPS = ("hp_familiarity", "hp_token_probability", "hp_general")
ENDS = ("hp_familiarity_chat",)
FACTS = ("hp_qa", "hp_neighbours", "hp_extraction")

_NOTES = (
    "taught: the model after a companion of our own that tells the books' facts. twin: the same model after neutral text alone.",
    "whp: the paper's method, hard labels. whp-soft: the whole generic distribution, at every position, inside names too.",
)

#: With --quick: a tenth of the text for more epochs, one method, two checkpoints, one twin.
_QUICK = Teaching(epochs=4.0, every=10)


def run_real(
    out: Path | str, *, model: str = "smollm2", seed: int = 0, twins: int = 2, quick: bool = False, overrides: Sequence[str] = ()
) -> Demo:  # fmt: skip
    """Runs it, or what is missing of it; the same seed gives the same numbers on one machine. The arguments are those of `run_demo`, and:

    Args:
        model: a key of `hp_bench.experiments.real.model.MODELS`.
        quick: a tenth of the text, the soft labels alone.

    Raises ValueError: the model cannot be fetched, the folder holds a run of other settings, or a key is unknown.
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
            for other in recipes:  # a run of other settings refuses it
                share_reinforced(out / other, out / name)
            runs[name] = whp.run(_recipe(world, out / name, file, seed, quick, overrides))
    with clock("scoring through lm-eval"):
        untaught = fetch(model)
        curves, others = _score(world, untaught, out, runs)
    with clock("distances to the twins"):
        far = distances({"untaught": str(untaught), **ends_of(world, runs)}, world.twins, world.distance_texts())
    with clock("figures and report"):
        title = f"Has it forgotten? {model}, taught the books' facts"
        write_report(
            out, title, world, curves, far, run={"model": model}, notes=_NOTES, models=["untaught"], baseline="taught"
        )
    append_log(out / LOG, seconds=seconds)
    shown = tuple(number for number in ON_REAL.values() if number[0] in STEPS)
    return Demo(out, shown, curves, others, [], far, seconds, [])


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
    curves = curves_of(runs)
    whole = [taught, *others, *(curve[-1] for curve in curves.values())]
    between = [point for curve in curves.values() for point in curve[:-1]]
    with loader:
        scored = [*score_checkpoints(loader, ends, whole, out=out), *score_checkpoints(loader, steps, between, out=out)]
    cards = {one.card.name: one.card for one in scored}
    return (
        {name: [cards[point.name] for point in (taught, *curve)] for name, curve in curves.items()},
        [cards[other.name] for other in others],
    )
