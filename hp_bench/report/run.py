"""A folder of scorecards and samples -> its figures and its page."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hp_bench.report.figures import save_figures
from hp_bench.report.layers import read_layers
from hp_bench.report.page import drawings, render
from hp_bench.report.panel import panel_part, panel_section
from hp_bench.report.story import Story
from hp_bench.results.curve import Curve
from hp_bench.results.scorecard import Scorecard
from hp_bench.scoring.distances import Distance
from hp_bench.scoring.store import all_cards, load_samples
from hp_bench.stress.run import RESULT, StressResult
from unlearn.files import write_text

#: What tells which scorecards make a curve; without it, names and steps do.
STORY = "story.json"

#: Folders of a run for the panel's scorecards, named as the run's own, and for stress tests, one or more below it; a file of `inspect`.
PANEL, STRESS, INSPECT = "panel", "stress", "inspect/inspect.json"


def read_story(run: Path | str) -> Story:
    """What a folder's scorecards tell.

    `story.json` names methods, twins and title. Without it, scorecards with a step are curves, one for each folder they lie in below
    `scorecards/`, all of them beginning at the scorecard of step 0; those called `twin...` are twins, any other is a model on no curve.

    The panel's scorecards are in `panel/scorecards`, under the names of the run's own; without that folder, the run's own are looked
    through for tasks of the panel. Results of stress tests are those called stress.json anywhere below `stress`; that of `hp-bench
    inspect` is `inspect/inspect.json`.

    Raises ValueError: the folder holds no scorecard, or one that cannot be read.
    """
    run = Path(run)
    cards = {card.name: card for card in all_cards(run)}
    if not cards:
        raise ValueError(f"{str(run)!r} holds no scorecards/*.json; `hp-bench score`, `curve` and `demo` write them")
    path = run / STORY
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else _guess(run, cards)
    missing = [name for names in [*told["methods"].values(), told["twins"]] for name in names if name not in cards]
    if missing:
        raise ValueError(f"{str(path)!r} names scorecards that are not there: {', '.join(missing[:3])}")
    files = {name: sorted((run / "samples" / name).glob("*.jsonl")) for name in cards}
    return Story(
        title=told["title"],
        methods=[Curve(name, tuple(cards[point] for point in points)) for name, points in told["methods"].items()],
        models=[cards[name] for name in told.get("models", [])],
        baseline=cards.get(told.get("baseline") or ""),
        twins=[cards[name] for name in told["twins"]],
        samples={name: {file.stem: load_samples(run, name, file.stem) for file in own} for name, own in files.items()},
        panel=all_cards(run / PANEL) or [part for card in cards.values() if (part := panel_part(card)) is not None],
        stress=[_stress(path, run / STRESS) for path in sorted((run / STRESS).rglob(RESULT))],
        inspected=read_layers(run / INSPECT) if (run / INSPECT).exists() else None,
        distances=[Distance(**distance) for distance in told.get("distances", [])],
        run=told.get("run", {}),
        notes=told.get("notes", []),
    )


def _stress(path: Path, folder: Path) -> StressResult:
    """A stress test, its model named by the folder it lies in, too: two methods' last checkpoints have one name."""
    result = StressResult.load(path)
    return replace(result, model=(path.parent.relative_to(folder) / result.model).as_posix())


def _guess(run: Path, cards: Mapping[str, Scorecard]) -> dict[str, Any]:
    twins = [name for name in cards if Path(name).name.startswith("twin")]
    start = [card.name for card in cards.values() if card.step == 0]
    methods: dict[str, list[str]] = {}
    for card in sorted(cards.values(), key=lambda card: card.step or 0):
        if card.step:
            folder = str(Path(card.name).parent)
            methods.setdefault(run.resolve().name if folder == "." else folder, start[:1]).append(card.name)
    return {
        "title": f"Familiarity: {run.resolve().name}",
        "methods": methods,
        "twins": twins,
        "models": [card.name for card in cards.values() if card.step is None and card.name not in twins],
        "baseline": start[0] if start else None,
    }


def write_figures(run: Path | str) -> list[Path]:
    """Every figure that the scorecards can fill (curve, fame, plane, strip, leak, inspect), .png and .svg; same scorecards, same bytes."""
    run, story = Path(run), read_story(run)
    draws = drawings(story, panel_section(story))
    return save_figures({name: draw() for name, draw in draws.items() if name != "panel"}, run)


def write_page(run: Path | str) -> Path:
    """report.html."""
    path = Path(run) / "report.html"
    write_text(path, render(read_story(run)))
    return path
