"""Scorecards as terminal tables."""

from collections.abc import Sequence

from rich.table import Table

from hp_bench.results.compare import Compared
from hp_bench.results.metrics import METRICS
from hp_bench.results.scorecard import Difference, Measurement, Scorecard
from hp_bench.scoring.score import describe
from hp_bench.stress.recovery import Recovery


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
            cells.append("" if found is None else describe(found) + _unscored(found))
        table.add_row(task if task != previous else "", metric, _better(metric), *cells)
        previous = task
    return table


def measurements_table(cards: Sequence[Scorecard]) -> Table:
    """One row a number and model: value, 95 % interval, scored prompts, unscored ones, degenerate ones."""
    table = Table(caption="95 % intervals in brackets; n: scored prompts", caption_justify="left")
    for column in ("task", "number", "better", "model"):
        table.add_column(column)
    for column in ("value", "n", "unscored", "degenerate"):
        table.add_column(column, justify="right")
    keys = dict.fromkeys((m.task, m.metric) for card in cards for m in card.measurements)
    previous = ("", "")
    for key in keys:
        if key[0] != previous[0] and previous[0]:
            table.add_section()
        for card in cards:
            for m in card.measurements:
                if (m.task, m.metric) != key:
                    continue
                new = key != previous
                table.add_row(
                    key[0] if key[0] != previous[0] else "", key[1] if new else "", _better(key[1]) if new else "", card.name,
                    describe(m), str(m.n), str(m.unscored), "" if m.degenerate is None else str(m.degenerate),
                )  # fmt: skip
                previous = key
    return table


def differences_table(found: Sequence[Compared], reference: str) -> Table:
    """One row a paired difference: its interval, its p-value adjusted over the models, the pairs it rests on.

    Args:
        found: from `hp_bench.results.compare`.
        reference: what was subtracted, for the heading.
    """
    table = Table(
        title=f"minus {reference}, prompt by prompt" if reference else "paired, prompt by prompt", title_justify="left",
        caption="p: that nothing differs; after Holm over the models, per number", caption_justify="left",
    )  # fmt: skip
    for column in ("task", "number", "better", "model"):
        table.add_column(column)
    for column in ("difference", "p", "pairs", "left out"):
        table.add_column(column, justify="right")
    previous = ("", "")
    for one in found:
        d = one.difference
        key = (d.task, d.metric)
        if d.task != previous[0] and previous[0]:
            table.add_section()
        new = key != previous
        table.add_row(
            d.task if d.task != previous[0] else "", d.metric if new else "", _better(d.metric) if new else "", one.name,
            describe_difference(d), "< .001" if one.p_adjusted < 0.001 else f"{one.p_adjusted:.3f}", str(d.n),
            str(d.unpaired),
        )  # fmt: skip
        previous = key
    return table


def recoveries_table(found: Sequence[Recovery], control: str) -> Table:
    """One row a number and stress: the model before and after, the control's change, and the model's beyond it; 80 columns wide.

    Args:
        found: from `hp_bench.stress.recovery.recoveries`.
        control: its name, for the heading; "" without one.
    """
    caption = "paired, prompt by prompt, 95 % intervals; p after Holm over the stresses;\n--json has every change"
    table = Table(caption=caption, caption_justify="left", padding=(0, 1, 0, 0), box=None)
    table.add_column("number, stress", overflow="fold")
    for column in ("as it is", "stressed", *(("control", "beyond it") if control else ("change",)), "p"):
        table.add_column(column, justify="right", no_wrap=True)
    previous = ("", "")
    for one in found:
        if (one.task, one.metric) != previous:
            previous = (one.task, one.metric)
            table.add_row(f"{one.metric}\n{one.task}\n{_better(one.metric)} = better")
        table.add_row(
            f"  {one.stress}" + (" (broken)" if one.broken else ""), f"{one.plain:.3f}", f"{one.stressed:.3f}",
            *((f"{one.control.value:+.3f}",) if one.control else ()), describe_difference(one.told),
            "< .001" if one.p_adjusted < 0.001 else f"{one.p_adjusted:.3f}",
        )  # fmt: skip
    return table


def describe_difference(difference: Difference) -> str:
    """A paired difference and its interval."""
    return f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"


def _unscored(measurement: Measurement) -> str:
    return f" ({measurement.unscored} unscored)" if measurement.unscored and measurement.n else ""


def _better(metric: str) -> str:
    return "higher" if METRICS[metric].higher_is_better else "lower"
