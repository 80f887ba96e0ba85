"""The leaderboard: every method of `recipes/leaderboard.yaml` on the miniature, under the same instruments, seed by seed.

Miniature with two twins -> one reinforced model for all rows -> each row trained, its chosen checkpoint measured -> one table and the
plane. What is finished is kept: the same command goes on where it was stopped.
"""

import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hp_bench import miniature
from hp_bench.experiments.findings import STRESS, Finding, ask_own, keep, kept, panel, stress, stress_twin
from hp_bench.experiments.measure import PANEL, Bench, bench_of, measure_own, try_baseline
from hp_bench.experiments.plane import draw_board
from hp_bench.experiments.rows import Row, Rows
from hp_bench.experiments.store import Place, RowScore, checkpoint_at, identity_of, logged, sentence
from hp_bench.experiments.table import Entry, Leaderboard, to_markdown
from hp_bench.experiments.training import checked, drawn_too, identity_of_run, model_of, recipe_of, shared_by, trained
from hp_bench.experiments.tuning import Candidate, Choices
from hp_bench.experiments.workers import Relay, side_by_side
from hp_bench.miniature.panel import panel_files
from hp_bench.report.figures import save_figure
from hp_bench.scoring.checkpoints import checkpoints_in
from unlearn.files import write_json, write_text
from unlearn.pipeline import stages
from unlearn.recipe import Recipe
from unlearn.registry import Method, method_of

log = logging.getLogger(__name__)

SEEDS = (1, 2, 3)

_TWINS = 2

#: Settings are chosen on this seed; figures come from others.
_CHOICE_SEED = 0

_Call = tuple[Callable[..., Any], tuple[Any, ...]]


def run_leaderboard(
    out: Path | str,
    *,
    rows: Rows,
    names: Sequence[str] = (),
    seeds: Sequence[int] = SEEDS,
    settings: miniature.Settings | None = None,
    further: Sequence[str] = (),
) -> Leaderboard:
    """Runs the leaderboard, or what is missing of it, and writes `leaderboard.json`, `leaderboard.md` and `plane.png` and `.svg`.

    A row that fails is a row that says why; the others go on, and the same command tries it again.

    Args:
        out: folder; everything goes there.
        rows: what to compare.
        names: of rows; none: all.
        seeds: of the miniatures; each trains every row once.
        settings: of the miniatures.
        further: PANEL, STRESS: what to ask of every row's model beside that.

    Raises:
        ValueError: a row or a key of one is unknown or has no setting chosen, or the folder holds other miniatures.
    """
    out, chosen, seeds = Path(out).resolve(), rows.named(names), tuple(dict.fromkeys(seeds))
    rows.require_chosen(chosen)
    recipes = checked(chosen, out)
    places = [Place(out, seed) for seed in seeds]
    found = [_measure_seed(place, chosen, settings) for place in places]
    steps = {name: row.step if method_of(recipes[name].method).finetune else None for name, row in chosen.items()}
    entries = [
        Entry(name, row.label, row.chosen, steps[name], tuple(scores[name] for scores in found), row.of)
        for name, row in chosen.items()
    ]
    for name in ("baseline", *(f"twin-{number}" for number in range(1, _TWINS + 1))):
        entries.append(Entry(name, name.replace("-", " "), {}, None, tuple(scores[name] for scores in found)))
    findings = [
        one for place, scores in zip(places, found, strict=True) for one in _left_of(place, chosen, scores, further)
    ]
    board = Leaderboard.of(entries).with_findings(findings)
    write_json(out / "leaderboard.json", board.to_dict(), sort_keys=False)
    date, speeds = logged(out, list(chosen), seeds)
    write_text(out / "leaderboard.md", to_markdown(board, speeds=speeds, date=date))
    for name in ("plane.png", "plane.svg"):
        save_figure(draw_board(board), out / name)
    return board


def choose(
    out: Path | str, *, rows: Rows, names: Sequence[str] = (), settings: miniature.Settings | None = None
) -> Choices:
    """Tries every setting of every row on seed 0, or those still missing, and writes `choices.json`; see `Choices` for the rule.

    Raises:
        ValueError: as `run_leaderboard`.
    """
    wanted, place = rows.named(names), Place(Path(out).resolve(), _CHOICE_SEED)
    checked(wanted, place.out)
    if not any(row.tried for row in wanted.values()):
        kept_by = "; ".join(f"{name} keeps the settings of {row.of}" for name, row in wanted.items())
        raise ValueError(f"there is nothing to choose: {kept_by}")
    miniature.prepare(place.miniature, seed=place.seed, settings=settings)
    world = miniature.load(place.miniature)
    identities = {
        (name, number): identity_of_run(world, recipe_of(row, setting, world, place.trial(name), place.seed))
        for name, row in wanted.items()
        for number, setting in enumerate(row.tried)
    }
    missing = [key for key, identity in identities.items() if not place.tried(*key, identity)]
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
        name: identity_of_run(world, recipe_of(row, row.setting, world, place.run(name), place.seed), row.step)
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
        recipe = recipe_of(row, row.setting, world, place.run(name), place.seed)
        shared = shared_by(place, recipe)
        if recipe.reinforces and not (shared / "reinforced").exists():
            calls.setdefault(shared.name, (_reinforce, (place, row)))
    found = side_by_side(calls) if calls else {}
    return {name: found[name] for name in beside}


def _reinforce(place: Place, row: Row, relay: Relay) -> None:
    """The reinforced model of all rows that reinforce alike. If it fails, each of them will say so itself."""
    with drawn_too(relay):
        world = miniature.load(place.miniature)
        recipe = recipe_of(row, row.setting, world, place.folder, place.seed)
        recipe = recipe_of(row, row.setting, world, shared_by(place, recipe), place.seed)
        try:
            stages.reinforce(recipe, *stages.open_run(recipe))
        except Exception:
            log.debug("reinforcing failed", exc_info=True)


def _measure_row(place: Place, name: str, row: Row, relay: Relay) -> RowScore:
    """One row: its run, and what is measured of the checkpoint chosen."""
    with drawn_too(relay):
        bench, began = bench_of(place), time.monotonic()
        recipe = recipe_of(row, row.setting, bench.world, place.run(name), place.seed)
        identity = identity_of_run(bench.world, recipe, row.step)
        try:
            checkpoints, speed = trained(recipe, shared_by(place, recipe), until=row.step)
            ran = time.monotonic()
            model, tokenizer = model_of(recipe, checkpoint_at(checkpoints, row.step))
            score = bench.measure(
                name, model, seed=place.seed, fingerprint=identity, step=row.step, tokenizer=tokenizer
            )
        except Exception as error:
            log.debug("row %s failed", name, exc_info=True)
            score = RowScore(name, place.seed, identity, failure=sentence(error))
        else:
            seconds = {"run": round(ran - began, 1), "measure": round(time.monotonic() - ran, 1)}
            place.log(row=name, seconds=seconds, tokens_per_second=speed)
            shutil.rmtree(place.run(name) / "labels", ignore_errors=True)
        place.keep(score)
        return score


def _left_of(
    place: Place, rows: Mapping[str, Row], scores: Mapping[str, RowScore], further: Sequence[str]
) -> list[Finding]:
    """What panel and stress find in every row that did not fail; each model's chosen checkpoint is still in its run."""
    if not further:
        return []
    world = miniature.load(place.miniature)
    panel_files(world)  # before two processes want them
    live = {name for name, row in rows.items() if _method(row, world, place).live}
    wanted = [
        (name, kind)
        for name in rows
        for kind in further
        if not (scores[name].failure or (kind == STRESS and name in live))
    ]
    wanted += [("twin-2", STRESS)] if STRESS in further else []
    found = {key: kept(place, key[1], key[0], scores[key[0]].fingerprint) for key in wanted}
    if missing := [key for key, known in found.items() if known is None]:
        side_by_side({name: (ask_own, (place, name)) for name in ("baseline", "twin-1", "twin-2")})
        if ("twin-2", STRESS) in missing:
            call = (stress_twin, (place, scores["twin-2"].fingerprint))
            found[("twin-2", STRESS)] = side_by_side({"twin-2": call})["twin-2"]
        kinds = {name: [kind for other, kind in missing if other == name] for name, _ in missing if name in rows}
        calls: dict[str, _Call] = {name: (_find_left, (place, name, rows[name], kinds[name])) for name in kinds}
        for name, findings in side_by_side(calls).items() if calls else ():
            found |= {(name, one.kind): one for one in findings}
    return [one for one in found.values() if one is not None]


def _method(row: Row, world: miniature.Miniature, place: Place) -> Method:
    return method_of(recipe_of(row, row.setting, world, place.folder, place.seed).method)


def _find_left(place: Place, name: str, row: Row, kinds: Sequence[str], relay: Relay) -> list[Finding]:
    """Panel or stress of one row, or both, in a process of its own."""
    with drawn_too(relay):
        bench, found = bench_of(place), []
        recipe = recipe_of(row, row.setting, bench.world, place.run(name), place.seed)
        identity = identity_of_run(bench.world, recipe, row.step)
        for kind in kinds:
            try:
                checkpoint = checkpoint_at(Path(recipe.out), row.step)
                model, tokenizer = model_of(recipe, checkpoint)
                if kind == PANEL:
                    one = panel(bench, place, name, model, identity, step=row.step, tokenizer=tokenizer)
                else:
                    one = stress(bench, place, name, checkpoint, identity)
            except Exception as error:
                log.debug("%s of row %s failed", kind, name, exc_info=True)
                one = Finding(kind, name, place.seed, identity, failure=sentence(error))
            found.append(keep(place, one))
        return found


def _try_row(place: Place, name: str, row: Row, relay: Relay) -> None:
    """Every setting of a row, one after the other in one run directory; only their numbers stay."""
    with drawn_too(relay):
        bench = bench_of(place)
        for number, setting in enumerate(row.tried):
            recipe = recipe_of(row, setting, bench.world, place.trial(name), place.seed)
            identity = identity_of_run(bench.world, recipe)
            if place.tried(name, number, identity):
                continue
            began = time.monotonic()
            try:
                checkpoints, _ = trained(recipe, shared_by(place, recipe))
                points = checkpoints_in(checkpoints)
            except Exception as error:
                log.debug("row %s, setting %d failed", name, number, exc_info=True)
                place.keep_candidates(name, number, identity, [Candidate(name, setting, failure=sentence(error))])
                continue
            ran = time.monotonic()
            found = [_candidate(bench, name, setting, recipe, point.step or 0, point.path) for point in points]
            place.keep_candidates(name, number, identity, found)
            seconds = {"run": round(ran - began, 1), "measure": round(time.monotonic() - ran, 1)}
            place.log(tried=name, number=number, candidates=len(found), seconds=seconds)
        shutil.rmtree(place.trial(name), ignore_errors=True)


def _candidate(bench: Bench, name: str, setting: Mapping[str, Any], recipe: Recipe, step: int, path: str) -> Candidate:
    try:
        model, tokenizer = model_of(recipe, Path(path))
        numbers = bench.familiarity_and_distances(name, model, tokenizer=tokenizer)
    except Exception as error:
        return Candidate(name, setting, step, failure=sentence(error))
    return Candidate(name, setting, step, *numbers)
