"""The leaderboard: every method of `recipes/leaderboard.yaml` on the miniature, under the same instruments, seed by seed.

Miniature with two twins -> one reinforced model for all rows -> each row trained, its chosen checkpoint measured -> one table. What is
finished is kept: the same command goes on where it was stopped.
"""

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from rich.progress import Progress

import unlearn
from hp_bench import miniature
from hp_bench.curves import checkpoints_in
from hp_bench.leaderboard_choice import Candidate, Choices
from hp_bench.leaderboard_measure import Bench, RowScore, write_json, write_text
from hp_bench.leaderboard_place import (
    Place,
    checkpoint_at,
    clear_run,
    digest,
    identity_of,
    logged,
    sentence,
    stage_seconds,
)
from hp_bench.leaderboard_reference import bench_of, drawn, measure_own, try_baseline
from hp_bench.leaderboard_rows import Row, Rows
from hp_bench.leaderboard_table import Entry, Leaderboard, to_markdown
from hp_bench.miniature.settings import Plan
from hp_bench.side_by_side import Relay, side_by_side
from unlearn import stages
from unlearn.methods import method_of
from unlearn.progress import shown_by
from unlearn.recipe import Recipe

log = logging.getLogger(__name__)

SEEDS = (1, 2, 3)
_TARGET = "harry-potter"
_TWINS = 2
#: Settings are chosen on this seed; figures come from others.
_CHOICE_SEED = 0
#: What decides where a run is, not what it gives.
_PLACES = ("model", "corpus", "anchors", "out", "retain")

_Call = tuple[Callable[..., Any], tuple[Any, ...]]


def run_leaderboard(
    out: Path | str,
    *,
    rows: Rows,
    names: Sequence[str] = (),
    seeds: Sequence[int] = SEEDS,
    settings: miniature.Settings | None = None,
) -> Leaderboard:
    """Runs the leaderboard, or what is missing of it, and writes `leaderboard.json` and `leaderboard.md`.

    A row that fails is a row that says why; the others go on, and the same command tries it again.

    Args:
        out: folder; everything goes there.
        rows: what to compare.
        names: of rows; none: all.
        seeds: of the miniatures; each trains every row once.
        settings: of the miniatures.

    Raises:
        ValueError: a row or a key of one is unknown, or the folder holds other miniatures.
    """
    out, chosen, seeds = Path(out), rows.named(names), tuple(dict.fromkeys(seeds))
    recipes = _check(chosen, out)
    found = [_measure_seed(Place(out, seed), chosen, settings) for seed in seeds]
    steps = {name: row.step if method_of(recipes[name].method).finetune else None for name, row in chosen.items()}
    entries = [
        Entry(name, row.label, row.chosen, steps[name], tuple(scores[name] for scores in found))
        for name, row in chosen.items()
    ]
    for name in ("baseline", *(f"twin-{number}" for number in range(1, _TWINS + 1))):
        entries.append(Entry(name, name.replace("-", " "), {}, None, tuple(scores[name] for scores in found)))
    board = Leaderboard.of(entries)
    write_json(out / "leaderboard.json", board.to_dict())
    date, speeds = logged(out, list(chosen), seeds)
    write_text(out / "leaderboard.md", to_markdown(board, speeds=speeds, date=date))
    return board


def choose(
    out: Path | str, *, rows: Rows, names: Sequence[str] = (), settings: miniature.Settings | None = None
) -> Choices:
    """Tries every setting of every row on seed 0, or those still missing, and writes `choices.json`; see `Choices` for the rule.

    Raises:
        ValueError: as `run_leaderboard`.
    """
    wanted, place = rows.named(names), Place(Path(out), _CHOICE_SEED)
    _check(wanted, place.out)
    miniature.prepare(place.miniature, seed=place.seed, settings=settings)
    world = miniature.load(place.miniature)
    identities = {
        (name, number): _identity(world, _recipe(row, setting, world, place.trial(name), place.seed))
        for name, row in wanted.items()
        for number, setting in enumerate(row.tried)
    }
    missing = [key for key, identity in identities.items() if place.candidates(*key, identity) is None]
    calls: dict[str, _Call] = {
        name: (_try_row, (place, name, row)) for name, row in wanted.items() if name in dict(missing)
    }
    if place.candidates("baseline", 0, identity_of(world, {})) is None:
        calls = {"baseline": (try_baseline, (place,)), **calls}
    _reinforce_once(place, world, {name: row for name, row in wanted.items() if name in calls}, {})
    if calls:
        side_by_side(calls)
    baseline = place.candidates("baseline", 0, identity_of(world, {})) or []
    found = [one for key, identity in identities.items() for one in place.candidates(*key, identity) or ()]
    choices = Choices(baseline[0], tuple(found))
    choices.save(place.out / "choices.json")
    return choices


def _measure_seed(place: Place, rows: Mapping[str, Row], settings: miniature.Settings | None) -> dict[str, RowScore]:
    log.info("seed %d ...", place.seed)
    miniature.prepare(place.miniature, seed=place.seed, twins=_TWINS, settings=settings)
    world = miniature.load(place.miniature)
    own = ["baseline", *(twin.name for twin in world.twins)]
    identities = dict.fromkeys(own, identity_of(world, {})) | {
        name: _identity(world, _recipe(row, row.setting, world, place.run(name), place.seed), row.step)
        for name, row in rows.items()
    }
    found = {name: known for name, identity in identities.items() if (known := place.known(name, identity))}
    missing = {name: row for name, row in rows.items() if name not in found}
    calls: dict[str, _Call] = {name: (measure_own, (place, name)) for name in own if name not in found}
    found |= _reinforce_once(place, world, missing, {n: calls.pop(n) for n in ("baseline",) if n in calls})
    calls |= {name: (_measure_row, (place, name, row)) for name, row in missing.items()}
    return {**found, **(side_by_side(calls) if calls else {})}


def _reinforce_once(
    place: Place, world: miniature.Miniature, rows: Mapping[str, Row], beside: Mapping[str, _Call]
) -> dict[str, Any]:
    """Makes the reinforced model that rows share, with other calls beside it; returns what these gave."""
    calls = dict(beside)
    for name, row in rows.items():
        recipe = _recipe(row, row.setting, world, place.run(name), place.seed)
        shared = _shared(place, recipe)
        if recipe.reinforces and not (shared / "reinforced").exists():
            calls.setdefault(shared.name, (_reinforce, (place, row)))
    found = side_by_side(calls) if calls else {}
    return {name: found[name] for name in beside}


def _reinforce(place: Place, row: Row, relay: Relay) -> None:
    """The reinforced model of all rows that reinforce alike. If it fails, each of them will say so itself."""
    with _drawn(relay):
        world = miniature.load(place.miniature)
        recipe = _recipe(row, row.setting, world, place.folder, place.seed)
        recipe = _recipe(row, row.setting, world, _shared(place, recipe), place.seed)
        try:
            stages.reinforce(recipe, stages.Target.open(recipe), stages.open_run(recipe))
        except Exception:
            log.debug("reinforcing failed", exc_info=True)


def _measure_row(place: Place, name: str, row: Row, relay: Relay) -> RowScore:
    """One row: its run, and what is measured of the checkpoint chosen."""
    with _drawn(relay):
        bench, began = bench_of(place), time.monotonic()
        recipe = _recipe(row, row.setting, bench.world, place.run(name), place.seed)
        identity = _identity(bench.world, recipe, row.step)
        try:
            checkpoints, speed = _train(recipe, _shared(place, recipe))
            trained = time.monotonic()
            model, tokenizer = _model(recipe, checkpoint_at(checkpoints, row.step))
            score = bench.measure(
                name, model, seed=place.seed, fingerprint=identity, step=row.step, tokenizer=tokenizer
            )
        except Exception as error:
            log.debug("row %s failed", name, exc_info=True)
            score = RowScore(name, place.seed, identity, failure=sentence(error))
        else:
            seconds = {"run": round(trained - began, 1), "measure": round(time.monotonic() - trained, 1)}
            place.log(row=name, seconds=seconds, tokens_per_second=speed)
            shutil.rmtree(place.run(name) / "labels", ignore_errors=True)
        place.keep(score)
        return score


def _try_row(place: Place, name: str, row: Row, relay: Relay) -> None:
    """Every setting of a row, one after the other in one run directory; only their numbers stay."""
    with _drawn(relay):
        bench = bench_of(place)
        for number, setting in enumerate(row.tried):
            recipe = _recipe(row, setting, bench.world, place.trial(name), place.seed)
            identity = _identity(bench.world, recipe)
            if place.candidates(name, number, identity) is not None:
                continue
            began = time.monotonic()
            try:
                checkpoints, _ = _train(recipe, _shared(place, recipe))
                points = checkpoints_in(checkpoints)
            except Exception as error:
                log.debug("row %s, setting %d failed", name, number, exc_info=True)
                place.keep_candidates(name, number, identity, [Candidate(name, setting, failure=sentence(error))])
                continue
            trained = time.monotonic()
            found = [_candidate(bench, name, setting, recipe, point.step or 0, point.path) for point in points]
            place.keep_candidates(name, number, identity, found)
            seconds = {"run": round(trained - began, 1), "measure": round(time.monotonic() - trained, 1)}
            place.log(tried=name, number=number, candidates=len(found), seconds=seconds)
        shutil.rmtree(place.trial(name), ignore_errors=True)


def _candidate(bench: Bench, name: str, setting: Mapping[str, Any], recipe: Recipe, step: int, path: str) -> Candidate:
    try:
        model, tokenizer = _model(recipe, Path(path))
        numbers = bench.familiarity_and_distances(name, model, tokenizer=tokenizer)
    except Exception as error:
        return Candidate(name, setting, step, failure=sentence(error))
    return Candidate(name, setting, step, *numbers)


def _train(recipe: Recipe, shared: Path) -> tuple[Path, float | None]:
    """Runs a recipe; returns its checkpoints, and tokens of the target a second of its fine-tune, if it was not interrupted."""
    run = Path(recipe.out)
    clear_run(run, recipe.to_yaml())
    if recipe.reinforces and not (run / "reinforced").exists() and (shared / "reinforced").exists():
        shutil.rmtree(run / "reinforced.copy", ignore_errors=True)
        shutil.copytree(shared / "reinforced", run / "reinforced.copy")
        (run / "reinforced.copy").replace(run / "reinforced")
    whole = not (run / "finetune.tmp").exists()
    checkpoints = unlearn.run(recipe)
    if not (whole and method_of(recipe.method).finetune):
        return checkpoints, None
    target, training = stages.Target.open(recipe), recipe.finetune
    tokens = training.max_steps * training.batch_size * training.accumulation * target.tokens / target.blocks
    return checkpoints, round(tokens / max(stage_seconds(run, "finetune"), 0.1), 1)


def _model(recipe: Recipe, checkpoint: Path) -> tuple[Any, Path | None]:
    """A checkpoint as the instruments take it: its folder, or a live model and where its tokenizer is."""
    if not method_of(recipe.method).live:
        return checkpoint, None
    return unlearn.load_unlearned(checkpoint, device="cpu", dtype="float32"), checkpoint


def _recipe(row: Row, setting: Mapping[str, Any], world: miniature.Miniature, run: Path, seed: int) -> Recipe:
    places = [f"model={world.baseline}", f"corpus={world.corpus}", f"anchors={world.anchors}", f"out={run}"]
    overrides = [*places, f"seed={seed}", *row.overrides(setting, world.rest)]
    return Recipe.load(unlearn.recipes_dir() / row.recipe, overrides)


def _check(rows: Mapping[str, Row], out: Path) -> dict[str, Recipe]:
    """Builds every recipe, so that a wrong key is said now and not after minutes of training; returns those of the settings chosen."""
    world = miniature.Miniature(out, Plan(_TARGET, 0, miniature.Settings()), ())
    for name, row in rows.items():
        for setting in row.tried:
            try:
                _recipe(row, setting, world, out, 0)
            except ValueError as error:
                raise ValueError(f"row {name}, setting {setting}: {error}") from None
    return {name: _recipe(row, row.setting, world, out, 0) for name, row in rows.items()}


def _shared(place: Place, recipe: Recipe) -> Path:
    """Where the reinforced model of all rows that reinforce alike is made."""
    alike = {"training": recipe.reinforce.model_dump(mode="json"), "block_tokens": recipe.labels.block_tokens}
    return place.folder / f"reinforced-{digest(alike)}"


def _identity(world: miniature.Miniature, recipe: Recipe, step: int | None = None) -> str:
    content = recipe.model_dump(mode="json")
    kept = {key: value for key, value in content.items() if key not in _PLACES}
    retain = {**content["retain"], "corpus": ""} if content["retain"] else None
    return identity_of(world, {"recipe": kept, "retain": retain, "step": step})


@contextmanager
def _drawn(relay: Relay) -> Iterator[None]:
    """As `drawn`, for what `unlearn` shows, too."""
    with drawn(relay), shown_by(cast(Progress, relay)):
        yield
