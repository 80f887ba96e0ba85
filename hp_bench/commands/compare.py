"""`hp-bench compare`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument

from hp_bench.commands.options import Json, show, warn

if TYPE_CHECKING:
    from hp_bench.results.compare import Compared
    from hp_bench.results.scorecard import Scorecard


def compare(
    cards: Annotated[
        list[Path],
        Argument(
            help="Scorecards (JSON files), or folders that hold scorecards/. All others are compared with the first."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Compares scorecards, prompt by prompt.

    Two folders of checkpoints are compared step by step. Scorecards that were made in different ways are refused, with the reason.
    """
    from dataclasses import asdict

    from hp_bench.report.tables import answer, curves_table, model_tables
    from hp_bench.results.compare import doubtful, require_comparable
    from hp_bench.results.scorecard import failures, to_json

    groups = _read(cards)
    shown = [card for group in groups.values() for card in group]
    require_comparable(shown)
    changes, reference = _compared(groups, shown)
    content = {"scorecards": to_json(*shown), "differences": [asdict(one) for one in changes]}
    if reference:
        told = [card for card in shown if card.scored]
        if shown[0] not in told:
            raise ValueError(f"there is no number to compare with: {failures(shown[:1])[0]}")
        answers = [answer(card, shown[0], changes) for card in told[1:]]
        show(as_json, content, *answers, "\n", *model_tables(told, changes, reference))
    else:
        show(as_json, content, curves_table(changes))
    warn(*(f"not quite the same conditions: {doubt}" for card in shown[1:] for doubt in doubtful(shown[0], card)))
    warn(*failures(shown))


def _read(paths: list[Path]) -> "dict[str, list[Scorecard]]":
    """Scorecards by argument; names made distinct."""
    from dataclasses import replace

    from hp_bench.results.scorecard import Scorecard
    from hp_bench.scoring.store import load_cards

    groups: dict[str, list[Scorecard]] = {}
    for path in paths:
        if path.is_dir():
            cards = load_cards(path)
            if not cards:
                raise ValueError(f"{str(path)!r} holds no scorecards/*.json; `hp-bench score` and `curve` write them")
        elif path.is_file():
            cards = [Scorecard.load(path)]
        else:
            raise ValueError(f"{str(path)!r} is neither a scorecard nor a folder of scorecards")
        key = path.resolve().name if path.is_dir() else str(path)
        groups[key if key not in groups else str(path)] = cards
    names = [card.name for group in groups.values() for card in group]
    if len(set(names)) == len(names):
        return groups
    return {
        key: [replace(card, name=f"{Path(key).name if card.name in key else key}/{card.name}") for card in group]
        if len(paths) > 1
        else group
        for key, group in groups.items()
    }


def _compared(groups: "dict[str, list[Scorecard]]", shown: "list[Scorecard]") -> "tuple[list[Compared], str]":
    from hp_bench.results import compare as by

    if len(shown) < 2:
        raise ValueError(f"one scorecard alone ({shown[0].name}) has nothing to be compared with")
    on_curves = len(groups) > 1 and all(sum(bool(card.step) for card in group) > 1 for group in groups.values())
    if on_curves:
        curves = {key: [card for card in group if card.step is not None] for key, group in groups.items()}
        return by.compare_curves(curves), ""
    return by.compare(shown[0], shown[1:]), shown[0].name
