"""The whole story on a laptop, offline: a model knows, it is made to forget, it is measured at every step.

Miniature -> reinforce, label, fine-tune on hard and on soft labels (`recipes/miniature.yaml` and `miniature-soft.yaml`, the code path of a
7B run) -> every checkpoint scored through lm-eval in one engine -> figures and report.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import unlearn
from hp_bench.engines.loader import EngineSettings, Loader
from hp_bench.experiments.measure import ON_MINIATURE
from hp_bench.experiments.store import LOG, World
from hp_bench.miniature.panel import panel_files, panel_tasks
from hp_bench.miniature.settings import Settings
from hp_bench.miniature.tasks import miniature_tasks
from hp_bench.miniature.train import Miniature, load, prepare
from hp_bench.report.run import PANEL, STORY, write_figures, write_page
from hp_bench.results.scorecard import Scorecard
from hp_bench.scoring.checkpoints import Checkpoint, checkpoints_in
from hp_bench.scoring.distances import Distance, distances
from hp_bench.scoring.models import score_checkpoints
from hp_bench.scoring.score import load_tasks
from hp_bench.workers import one_thread, side_by_side
from unlearn.files import append_log, write_json
from unlearn.methods import whp
from unlearn.progress import quiet_bars
from unlearn.recipe import Recipe

log = logging.getLogger(__name__)

#: Methods of the demo: the paper's hard labels, and the whole generic distribution.
HARD, SOFT = "whp", "whp-soft"

RECIPES = {HARD: "miniature.yaml", SOFT: "miniature-soft.yaml"}

_NOTES = (
    "The model is tiny and its world is made up: this shows that method and measures work, not how a large model fares.",
    f"{HARD}: the paper's method, hard labels. {SOFT}: the whole generic distribution, at every position, inside names too.",
)


@dataclass(frozen=True)
class Demo:
    """What a demo leaves behind.

    Attributes:
        out: folder with everything in it.
        steps: task and metric of the numbers to be shown step by step.
        curves: method -> scorecards by step; the first is the baseline's.
        twins: scorecards of the twins.
        prompts: scorecards of baseline, twins and last checkpoints on the 300 and the 30 prompts, without a goal: a model this small
            need not understand them.
        distances: to the twins.
        seconds: stage -> wall seconds.
        panel: scorecards of baseline, twins and last checkpoints on the panel; empty where it was not asked for.
    """

    out: Path
    steps: tuple[tuple[str, str], ...]
    curves: dict[str, list[Scorecard]]
    twins: list[Scorecard]
    prompts: list[Scorecard]
    distances: list[Distance]
    seconds: dict[str, float]
    panel: list[Scorecard]


def run_demo(
    out: Path | str,
    *,
    target: str = "harry-potter",
    seed: int = 0,
    twins: int = 1,
    overrides: Sequence[str] = (),
    settings: Settings | None = None,
    panel: bool = False,
) -> Demo:
    """Runs the demo, or what is missing of it; the same seed gives the same numbers.

    Args:
        out: folder; models, run directories, scorecards, figures and report go there.
        target: of the miniature: harry-potter or detectives.
        seed: of everything.
        twins: models trained on the rest alone; two or more give distances to the twins their zero.
        overrides: `key=value` of both recipes.
        settings: of the miniature; default: those that its figures were measured with.
        panel: whether to ask the panel, too.

    Raises ValueError: the folder holds a demo of other settings, or a name is unknown.
    """
    out = Path(out)
    for file in RECIPES.values():  # a wrong key is said now, not after minutes of training
        Recipe.load(unlearn.recipes_dir() / file, overrides)
    seconds: dict[str, float] = {}
    clock = partial(timed, seconds=seconds)
    quiet_bars()
    with one_thread():
        with clock("miniature: text, baseline, twins"):
            world = prepare(out / "miniature", target=target, seed=seed, twins=twins, settings=settings)
        with clock("unlearning: reinforce, label, fine-tune"):
            given = [*world.overrides(), f"seed={seed}"]
            recipes = {
                name: Recipe.load(unlearn.recipes_dir() / file, [*given, f"out={out / name}", *overrides])
                for name, file in RECIPES.items()
            }
            runs = side_by_side({name: (whp.run, (recipe,)) for name, recipe in recipes.items()})  # each on one thread
        with clock("scoring through lm-eval"):
            curves, twin_cards, prompts, asked = _score(world, out, runs, panel)
        with clock("distances to the twins"):
            far = distances(ends_of(world, runs), world.twins, world.distance_texts())
        with clock("figures and report"):
            title, ran = f"Has it forgotten? The miniature world of {world.plan.target}", world.plan.to_dict()
            write_report(out, title, world, curves, far, run={"miniature": ran}, notes=_NOTES)
    append_log(out / LOG, seconds=seconds)  # alone: everything else is the same bytes every time
    return Demo(out, tuple(ON_MINIATURE.values()), curves, twin_cards, prompts, far, seconds, asked)


def _score(
    world: Miniature, out: Path, runs: dict[str, Path], panel: bool
) -> tuple[dict[str, list[Scorecard]], list[Scorecard], list[Scorecard], list[Scorecard]]:
    """Every model on the miniature's tasks, the first and the last on the 300 and the 30 prompts too, and on the panel if it is asked for;
    an engine a method, side by side.
    """
    if panel:
        panel_files(world)  # before two processes want them
    baseline = Checkpoint("baseline", str(world.baseline), 0)
    twins = [Checkpoint(path.name, str(path)) for path in world.twins]
    curves = curves_of(runs)
    beside = {HARD: [baseline], SOFT: twins}
    models = {name: ([*curve, *beside[name]], [curve[-1], *beside[name]]) for name, curve in curves.items()}
    made = side_by_side({name: (_score_models, (world.folder, out, *both, panel)) for name, both in models.items()})
    cards, prompts, asked = ({c.name: c for sets in made.values() for c in sets[kind]} for kind in range(3))
    ends = [baseline, *twins, *(curve[-1] for curve in curves.values())]
    return (
        {name: [cards[point.name] for point in (baseline, *curve)] for name, curve in curves.items()},
        [cards[twin.name] for twin in twins],
        [prompts[model.name] for model in ends],
        [asked[model.name] for model in ends if model.name in asked],
    )


def _score_models(
    folder: Path, out: Path, models: Sequence[Checkpoint], ends: Sequence[Checkpoint], panel: bool
) -> tuple[list[Scorecard], ...]:
    """In a process of its own."""
    loader, world = Loader(EngineSettings()), load(folder)
    sets = [
        score_checkpoints(loader, miniature_tasks(world), models, out=out),
        score_checkpoints(loader, load_tasks(["hp_bench"]), ends, out=out / "prompts"),
        score_checkpoints(loader, panel_tasks(world), ends, out=out / PANEL) if panel else [],
    ]
    return tuple([one.card for one in scored] for scored in sets)


def curves_of(runs: Mapping[str, Path]) -> dict[str, list[Checkpoint]]:
    """Each method's checkpoints, called METHOD/checkpoint-STEP."""
    return {
        name: [replace(point, name=f"{name}/{point.name}") for point in checkpoints_in(run)]
        for name, run in runs.items()
    }


def ends_of(world: World, runs: Mapping[str, Path]) -> dict[str, str]:
    """The baseline and each method's last checkpoint."""
    return {"baseline": str(world.baseline), **{name: points[-1].path for name, points in curves_of(runs).items()}}


def write_report(
    out: Path,
    title: str,
    world: World,
    curves: Mapping[str, Sequence[Scorecard]],
    far: Sequence[Distance],
    *,
    run: Mapping[str, Any],
    notes: Sequence[str],
    **models: Any,
) -> None:
    """Figures, page, and what these need beside the scorecards: which of them make a curve (see `read_story`), and what was run."""
    story = {
        "title": title,
        "methods": {name: [card.name for card in cards] for name, cards in curves.items()},
        "twins": [twin.name for twin in world.twins],
        **models,
        "distances": [asdict(distance) for distance in far],
        "run": run,
        "notes": notes,
    }
    write_json(out / STORY, story, sort_keys=False)
    write_figures(out)
    write_page(out)


@contextmanager
def timed(stage: str, seconds: dict[str, float]) -> Iterator[None]:
    """Keeps a stage's wall seconds."""
    log.info("%s ...", stage)
    began = time.monotonic()
    yield
    seconds[stage] = round(time.monotonic() - began, 1)
    log.info("%s: %.1f s", stage, seconds[stage])
