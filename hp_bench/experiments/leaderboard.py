"""The leaderboard: every method of a file of rows on the miniature or a real model, under the same instruments, seed by seed.

A world with two twins -> one reinforced model for all rows -> each row trained, its chosen checkpoint measured -> one table and the
plane. What is finished is kept: the same command goes on where it was stopped.
"""

import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hp_bench.experiments import store
from hp_bench.experiments.findings import STRESS, Finding, ask_own, known, look
from hp_bench.experiments.measure import Bench, bench_of, measure_own, try_baseline
from hp_bench.experiments.plane import draw_board
from hp_bench.experiments.rows import Row, Rows
from hp_bench.experiments.store import MINIATURE, RowScore, SeedFolder, World
from hp_bench.experiments.table import Entry, Leaderboard, to_markdown
from hp_bench.experiments.training import checked, identity_of_run, model_of, recipe_of, run_of, shared_by, trained
from hp_bench.experiments.tuning import Candidate, Choices
from hp_bench.miniature.panel import panel_files
from hp_bench.miniature.settings import Settings
from hp_bench.miniature.train import Miniature
from hp_bench.report.figures import save_figures
from hp_bench.scoring.checkpoints import Checkpoint, checkpoints_in
from hp_bench.workers import side_by_side
from unlearn.files import write_json, write_text
from unlearn.pipeline import stages
from unlearn.recipe import Recipe
from unlearn.registry import method_of

log = logging.getLogger(__name__)

SEEDS = (1, 2, 3)

_TWINS = 2

#: The models of a world that no row makes.
_OWN = ("baseline", *(f"twin-{number}" for number in range(1, _TWINS + 1)))

#: Settings are chosen on this seed; figures come from others.
_CHOICE_SEED = 0

_Call = tuple[Callable[..., Any], tuple[Any, ...]]


def run_leaderboard(
    out: Path | str,
    *,
    rows: Rows,
    names: Sequence[str] = (),
    seeds: Sequence[int] = SEEDS,
    model: str = MINIATURE,
    settings: Settings | None = None,
    further: Sequence[str] = (),
) -> Leaderboard:
    """Runs the leaderboard, or what is missing of it, and writes `leaderboard.json`, `leaderboard.md` and `plane.png` and `.svg`.

    A row that fails is a row that says why; the others go on, and the same command tries it again.

    Args:
        rows: what to compare, of these those with one of the `names`; none: all.
        seeds: of the worlds; each trains every row once.
        model: miniature, or a key of `hp_bench.experiments.real.model.MODELS`.
        settings: of the miniatures.
        further: PANEL, STRESS: what to ask of every row's model beside that.

    Raises ValueError: a row or a key of one is unknown or has no setting chosen, or the folder holds other models.
    """
    out, chosen, seeds = Path(out).resolve(), rows.named(names), tuple(dict.fromkeys(seeds))
    rows.require_chosen(chosen)
    recipes = checked(chosen, out)
    folders = [SeedFolder(out, seed, model) for seed in seeds]
    scores = [_measure_seed(folder, chosen, settings) for folder in folders]
    steps = {name: row.step if method_of(recipes[name].method).finetune else None for name, row in chosen.items()}
    entries = [
        Entry(name, row.label, row.chosen, steps[name], tuple(one[name] for one in scores), row.of)
        for name, row in chosen.items()
    ]
    for name in _OWN:
        entries.append(Entry(name, name.replace("-", " "), {}, None, tuple(one[name] for one in scores)))
    asked = zip(folders, scores, strict=True) if further else ()
    findings = [one for folder, own in asked for one in _findings(folder, chosen, own, further)]
    board = Leaderboard.of(entries, findings, model)
    write_json(out / "leaderboard.json", board.to_dict(), sort_keys=False)
    date, speeds = store.logged(out, list(chosen), seeds)
    write_text(out / "leaderboard.md", to_markdown(board, speeds=speeds, date=date))
    save_figures({"plane": draw_board(board)}, out)
    return board


def choose(out: Path | str, *, rows: Rows, names: Sequence[str] = (), model: str = MINIATURE) -> Choices:
    """Tries every setting of every row on seed 0, or those still missing, and writes `choices.json`; see `Choices` for the rule.

    Raises ValueError: as `run_leaderboard`.
    """
    wanted, folder = rows.named(names), SeedFolder(Path(out).resolve(), _CHOICE_SEED, model)
    checked(wanted, folder.out)
    if not any(row.tried for row in wanted.values()):
        ablations = "; ".join(f"{name} keeps the settings of {row.of}" for name, row in wanted.items())
        raise ValueError(f"there is nothing to choose: {ablations}")
    world = folder.prepare(twins=1 if model == MINIATURE else _TWINS)
    identities = {
        (name, number): identity_of_run(world, recipe_of(row, setting, world, folder.trial(name), folder.seed))
        for name, row in wanted.items()
        for number, setting in enumerate(row.tried)
    }
    missing = {name for (name, number), identity in identities.items() if not folder.tried(name, number, identity)}
    rows_to_try = {name: row for name, row in wanted.items() if name in missing}
    calls: dict[str, _Call] = {name: (_try_row, (folder, name, row)) for name, row in rows_to_try.items()}
    if folder.candidates("baseline", 0, store.identity_of(world, {})) is None:
        calls = {"baseline": (try_baseline, (folder,)), **calls}
    side_by_side(_shared_stages(folder, world, rows_to_try), gib=store.gib_of(world))
    side_by_side(calls, gib=store.gib_of(world))
    baseline = folder.candidates("baseline", 0, store.identity_of(world, {})) or []
    tried = [one for key, identity in identities.items() for one in folder.candidates(*key, identity) or ()]
    choices = Choices(baseline[0], tuple(tried))
    write_json(folder.out / "choices.json", choices.to_dict(), sort_keys=False)
    return choices


def _measure_seed(folder: SeedFolder, rows: Mapping[str, Row], settings: Settings | None) -> dict[str, RowScore]:
    log.info("seed %d ...", folder.seed)
    world = folder.prepare(twins=_TWINS, settings=settings)
    identities = dict.fromkeys(_OWN, store.identity_of(world, {}))
    identities |= {name: run_of(row, name, world, folder)[1] for name, row in rows.items()}
    scores = {name: known for name, identity in identities.items() if (known := folder.known(name, identity))}
    missing = {name: row for name, row in rows.items() if name not in scores}
    own: dict[str, _Call] = {name: (measure_own, (folder, name)) for name in _OWN if name not in scores}
    first = {name: own.pop(name) for name in ("baseline",) if name in own}
    made = side_by_side({**first, **_shared_stages(folder, world, missing)}, gib=store.gib_of(world))
    scores |= {name: made[name] for name in first}
    return scores | side_by_side(
        {**own, **{name: (_measure_row, (folder, name, row)) for name, row in missing.items()}}, gib=store.gib_of(world)
    )


def _shared_stages(folder: SeedFolder, world: World, rows: Mapping[str, Row]) -> dict[str, _Call]:
    """Calls that make the reinforced models that rows share, one each, as far as they are missing."""
    calls: dict[str, _Call] = {}
    for row in rows.values():
        recipe = recipe_of(row, row.setting, world, folder.path, folder.seed)  # its setting is empty before --choose
        shared = shared_by(folder, recipe)
        if recipe.reinforces and not (shared / "reinforced").exists():
            calls.setdefault(shared.name, (_reinforce, (folder, row)))
    return calls


def _reinforce(folder: SeedFolder, row: Row) -> None:
    """The reinforced model of all rows that reinforce alike. If it fails, each of them will say so itself."""
    world = folder.world
    recipe = recipe_of(row, row.setting, world, folder.path, folder.seed)
    recipe = recipe_of(row, row.setting, world, shared_by(folder, recipe), folder.seed)
    try:
        stages.reinforce(recipe, *stages.open_run(recipe))
    except Exception:
        log.debug("reinforcing failed", exc_info=True)


def _measure_row(folder: SeedFolder, name: str, row: Row) -> RowScore:
    """One row, in a process of its own: its run, and what is measured of the checkpoint chosen."""
    bench, began = bench_of(folder), time.monotonic()
    recipe, identity = run_of(row, name, bench.world, folder)
    try:
        checkpoints, speed = trained(recipe, shared_by(folder, recipe), until=row.step)
        ran = time.monotonic()
        model = model_of(name, recipe, store.checkpoint_at(checkpoints, row.step), row.step)
        score = bench.measure(model, seed=folder.seed, fingerprint=identity)
    except Exception as error:
        log.debug("row %s failed", name, exc_info=True)
        score = RowScore(name, folder.seed, identity, failure=store.sentence(error))
    else:
        folder.log(row=name, seconds=_seconds(began, ran), tokens_per_second=speed)
        shutil.rmtree(folder.run(name) / "labels", ignore_errors=True)
    return folder.keep(score)


def _seconds(began: float, ran: float) -> dict[str, float]:
    """How long a run took that began and ended then, and what was measured since."""
    return {"run": round(ran - began, 1), "measure": round(time.monotonic() - ran, 1)}


def _findings(
    folder: SeedFolder, rows: Mapping[str, Row], scores: Mapping[str, RowScore], further: Sequence[str]
) -> list[Finding]:
    """What panel and stress find in every row that did not fail; each model's chosen checkpoint is still in its run."""
    world = folder.world
    assert isinstance(world, Miniature)
    panel_files(world)  # before two processes want them
    live = {name for name, row in rows.items() if method_of(run_of(row, name, world, folder)[0].method).live}
    wanted = [
        (kind, name)
        for name in rows
        for kind in further
        if not (scores[name].failure or (kind == STRESS and name in live))
    ]
    wanted += [(STRESS, "twin-2")] if STRESS in further else []
    findings = {key: known(folder, *key, scores[key[1]].fingerprint) for key in wanted}
    if missing := [key for key, finding in findings.items() if finding is None]:
        side_by_side({name: (ask_own, (folder, name)) for name in _OWN})
        for names in (("twin-2",), rows):  # the twin under stress is the control that all rows share
            kinds = {name: [kind for kind, other in missing if other == name] for name in names}
            calls: dict[str, _Call] = {
                name: (look, (folder, name, rows.get(name), scores[name].fingerprint, own)) for name, own in kinds.items() if own
            }  # fmt: skip
            findings |= {(one.kind, name): one for name, made in side_by_side(calls).items() for one in made}
    return [one for one in findings.values() if one is not None]


def _try_row(folder: SeedFolder, name: str, row: Row) -> None:
    """Every setting of a row, one after the other in one run directory and a process of its own; only their numbers stay."""
    bench = bench_of(folder)
    for number, setting in enumerate(row.tried):
        recipe = recipe_of(row, setting, bench.world, folder.trial(name), folder.seed)
        identity = identity_of_run(bench.world, recipe)
        if folder.tried(name, number, identity):
            continue
        began = time.monotonic()
        try:
            points = checkpoints_in(trained(recipe, shared_by(folder, recipe))[0])
        except Exception as error:
            log.debug("row %s, setting %d failed", name, number, exc_info=True)
            folder.keep_candidates(name, number, identity, [Candidate(name, setting, failure=store.sentence(error))])
            continue
        ran = time.monotonic()
        candidates = [_candidate(bench, name, setting, recipe, point) for point in points]
        folder.keep_candidates(name, number, identity, candidates)
        folder.log(tried=name, number=number, candidates=len(candidates), seconds=_seconds(began, ran))
    shutil.rmtree(folder.trial(name), ignore_errors=True)


def _candidate(bench: Bench, name: str, setting: Mapping[str, Any], recipe: Recipe, point: Checkpoint) -> Candidate:
    step = point.step or 0
    try:
        numbers = bench.familiarity_and_distances(model_of(name, recipe, Path(point.path)))
    except Exception as error:
        return Candidate(name, setting, step, failure=store.sentence(error))
    return Candidate(name, setting, step, *numbers)
