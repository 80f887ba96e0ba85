"""`hp-bench compare`."""

from pathlib import Path
from typing import TYPE_CHECKING

from hp_bench.commands.options import Json, show, warn

if TYPE_CHECKING:
    from hp_bench.results.scorecard import Scorecard


def compare(cards: list[Path], *, as_json: Json = False) -> None:
    """Compares scorecards, prompt by prompt.

    Two folders of checkpoints are compared step by step. Scorecards that were made in different ways are refused, with the reason.

    Args:
        cards: Scorecards (JSON files), or folders that hold scorecards/. All others are compared with the first.
    """
    from dataclasses import asdict

    from hp_bench.judges.rejudge import as_completions
    from hp_bench.probes.paths import prompts_dir
    from hp_bench.report.tables import answer, curves_table, model_tables
    from hp_bench.results.compare import compare as compare_cards
    from hp_bench.results.compare import compare_curves, doubts, require_comparable
    from hp_bench.results.scorecard import ELSEWHERE, failures, to_json

    groups = _read(cards)
    if any(ELSEWHERE in card.manifest.tasks for group in groups.values() for card in group):
        prompts = prompts_dir() / "familiarity.jsonl"
        groups = {
            key: [as_completions(one, "hp_familiarity", prompts) for one in group] for key, group in groups.items()
        }
    shown = [card for group in groups.values() for card in group]
    require_comparable(shown)
    if len(shown) < 2:
        raise ValueError(f"one scorecard alone ({shown[0].name}) has nothing to be compared with")
    on_curves = len(groups) > 1 and all(sum(bool(card.step) for card in group) > 1 for group in groups.values())
    if on_curves:
        changes = compare_curves({key: [c for c in group if c.step is not None] for key, group in groups.items()})
    else:
        changes = compare_cards(shown[0], shown[1:])
    content = {"scorecards": to_json(*shown), "differences": [asdict(one) for one in changes]}
    told = [card for card in shown if card.scored]
    if on_curves:
        show(as_json, content, curves_table(changes))
    else:
        if shown[0] not in told:
            raise ValueError(f"there is no number to compare with: {failures(shown[:1])[0]}")
        answers = [answer(card, shown[0], changes) for card in told[1:]]
        show(as_json, content, *answers, "\n", *model_tables(told, changes, shown[0].name))
    warn(*doubts(shown), *failures(shown))


def _read(paths: list[Path]) -> "dict[str, list[Scorecard]]":
    """Scorecards by argument; names made distinct."""
    from dataclasses import replace

    from hp_bench.results.scorecard import Scorecard
    from hp_bench.scoring.store import load_cards

    groups: dict[str, list[Scorecard]] = {}
    for path, key in _told_apart(paths).items():
        if path.is_dir():
            groups[key] = load_cards(path)
            if not groups[key]:
                raise ValueError(f"{str(path)!r} holds no scorecards/*.json; `hp-bench score` and `curve` write them")
        elif path.is_file():
            groups[key] = [Scorecard.load(path)]
        else:
            raise ValueError(f"{str(path)!r} is neither a scorecard nor a folder of scorecards")
    names = [card.name for group in groups.values() for card in group]
    if len(set(names)) == len(names) or len(groups) == 1:
        return groups
    return {
        key: [replace(card, name=key if Path(key).name == card.name else f"{key}/{card.name}") for card in group]
        for key, group in groups.items()
    }


def _told_apart(paths: list[Path]) -> dict[Path, str]:
    """Each path by as much of it as tells it from the others: what all begin or end with is left out."""
    parts = {path: list(path.resolve().with_suffix("" if path.is_file() else path.suffix).parts) for path in paths}
    for end in (-1, 0):
        while all(len(own) > 1 for own in parts.values()) and len({own[end] for own in parts.values()}) == 1:
            for own in parts.values():
                own.pop(end)
    return {path: "/".join(own) for path, own in parts.items()}
