"""Scorecards as terminal tables."""

from collections.abc import Sequence

from rich.table import Table

from hp_bench.metrics import METRICS
from hp_bench.scorecard import Scorecard
from hp_bench.scoring import describe


def scorecards_table(cards: Sequence[Scorecard], *, title: str = "") -> Table:
    """One column a model, one row a number, with 95 % intervals, unscored and degenerate counts.

    Args:
        cards: what to show.
        title: above the table.
    """
    table = Table(
        title=title or None, title_justify="left", caption="95 % intervals in brackets", caption_justify="left"
    )
    table.add_column("task")
    table.add_column("number")
    table.add_column("better")
    for card in cards:
        table.add_column(card.name if card.step is None else f"{card.name} ({card.step} steps)", justify="right")
    seen: list[tuple[str, str]] = []
    for card in cards:
        seen += [key for m in card.measurements if (key := (m.task, m.metric)) not in seen]
    previous = ""
    for task, metric in seen:
        if task != previous and previous:
            table.add_section()
        cells = []
        for card in cards:
            found = next((m for m in card.measurements if (m.task, m.metric) == (task, metric)), None)
            cells.append(
                ""
                if found is None
                else describe(found) + (f" ({found.unscored} unscored)" if found.unscored and found.n else "")
            )
        better = "higher" if METRICS[metric].higher_is_better else "lower"
        table.add_row(task if task != previous else "", metric, better, *cells)
        previous = task
    return table


def failures(cards: Sequence[Scorecard]) -> list[str]:
    """A sentence for every task that broke off, and for every one with more than 1 % unscored."""
    said = [f"{card.name}, {task}: {reason}" for card in cards for task, reason in card.failures.items()]
    for card in cards:
        for task in {
            m.task: None
            for m in card.measurements
            if m.unscored > 0.01 * (m.n + m.unscored) and m.task not in card.failures
        }:
            m = next(m for m in card.measurements if m.task == task)
            said.append(f"{card.name}, {task}: {m.unscored} of {m.n + m.unscored} prompts could not be scored")
    return said
