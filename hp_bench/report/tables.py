"""Scorecards as terminal tables."""

from collections.abc import Mapping, Sequence

from rich.console import Group
from rich.table import Table

from hp_bench.judges.agreement import SAID, Agreement, Share
from hp_bench.results.compare import Compared
from hp_bench.results.metrics import METRICS
from hp_bench.results.scorecard import Difference, Scorecard
from hp_bench.scoring.score import describe
from hp_bench.stress.recovery import Recovery


def scorecards_table(cards: Sequence[Scorecard], *, title: str = "") -> Table:
    """One column a model, one row a number, with 95 % intervals, unscored and degenerate counts."""
    caption = "95 % intervals in brackets"
    table = Table(
        "task", "number", "better", title=title, title_justify="left", caption=caption, caption_justify="left"
    )
    for card in cards:
        table.add_column(card.name if card.step is None else f"{card.name} ({card.step} steps)", justify="right")
    for task, metrics in _by_task(cards).items():
        table.add_section()
        for number, metric in enumerate(metrics):
            measured = [card.find(task, metric) for card in cards]
            cells = [
                "" if m is None else describe(m) + f" ({m.unscored} unscored)" * bool(m.unscored and m.n)
                for m in measured
            ]
            table.add_row("" if number else task, metric, METRICS[metric].better, *cells)
    return table


def measurements_table(cards: Sequence[Scorecard]) -> Table:
    """One row a number and model: value, 95 % interval, scored prompts, unscored ones, degenerate ones."""
    table = Table(caption="95 % intervals in brackets; n: scored prompts", caption_justify="left")
    cells = {
        (task, metric): [
            (card.name, describe(m), str(m.n), str(m.unscored), "" if m.degenerate is None else str(m.degenerate))
            for card in cards
            if (m := card.find(task, metric)) is not None
        ]
        for task, metrics in _by_task(cards).items()
        for metric in metrics
    }
    return _grouped(table, ("value", "n", "unscored", "degenerate"), cells)


def differences_table(compared: Sequence[Compared], reference: str) -> Table:
    """One row a paired difference from `reference`: its interval, its p-value adjusted over the models, the pairs it rests on."""
    table = Table(
        title=f"minus {reference}, prompt by prompt" if reference else "paired, prompt by prompt", title_justify="left",
        caption="p: that nothing differs; after Holm over the models, per number", caption_justify="left",
    )  # fmt: skip
    cells: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for one in compared:
        d = one.difference
        row = one.name, describe_difference(d), _p(one.p_adjusted), str(d.n), str(d.unpaired)
        cells.setdefault((d.task, d.metric), []).append(row)
    return _grouped(table, ("difference", "p", "pairs", "left out"), cells)


def _grouped(table: Table, columns: Sequence[str], cells: Mapping[tuple[str, str], Sequence[tuple[str, ...]]]) -> Table:
    """Fills a table: (task, metric) -> a row a model, its name first; task and metric are named once."""
    for column in ("task", "number", "better", "model"):
        table.add_column(column)
    for column in columns:
        table.add_column(column, justify="right")
    previous = ""
    for (task, metric), rows in cells.items():
        if task != previous:
            table.add_section()
        for number, row in enumerate(rows):
            first = ("", "", "") if number else ("" if task == previous else task, metric, METRICS[metric].better)
            table.add_row(*first, *row)
        previous = task
    return table


def _by_task(cards: Sequence[Scorecard]) -> dict[str, list[str]]:
    """Task -> metrics that any of the scorecards has."""
    metrics: dict[str, list[str]] = {}
    for task, metric in dict.fromkeys((m.task, m.metric) for card in cards for m in card.measurements):
        metrics.setdefault(task, []).append(metric)
    return metrics


def recoveries_table(recoveries: Sequence[Recovery], control: str) -> Table:
    """One row a number and stress: the model before and after, the change of a control ("" without one), and the model's beyond it; 80
    columns wide.
    """
    caption = "paired, prompt by prompt, 95 % intervals; p after Holm over the stresses;\n--json has every change"
    table = Table(caption=caption, caption_justify="left", padding=(0, 1, 0, 0), box=None)
    table.add_column("number, stress", overflow="fold")
    for column in ("as it is", "stressed", *(("control", "beyond it") if control else ("change",)), "p"):
        table.add_column(column, justify="right", no_wrap=True)
    previous = ("", "")
    for one in recoveries:
        if (one.task, one.metric) != previous:
            previous = (one.task, one.metric)
            table.add_row(f"{one.metric}\n{one.task}\n{METRICS[one.metric].better} = better")
        table.add_row(
            f"  {one.stress}" + (" (broken)" if one.broken else ""), f"{one.plain:.3f}", f"{one.stressed:.3f}",
            *((f"{one.control.value:+.3f}",) if one.control else ()), describe_difference(one.told),
            _p(one.p_adjusted),
        )  # fmt: skip
    return table


def agreement_tables(found: Agreement, truth: str, *, shares: bool) -> Group:
    """A judge against grades called `truth`: kappa, the matrix, and, if wanted, precision and recall of each grade; 95 % intervals."""
    matrix = Table(truth, caption=f"completions; rows: {truth}, columns: judge", caption_justify="left")
    for word in SAID:
        matrix.add_column(word, justify="right")
    caption = f"95 % intervals; {found.method}"
    by_grade = Table("grade", "precision", "recall", caption=caption, caption_justify="left")
    for grade, row in found.confusion.items():
        matrix.add_row(grade, *(str(row[word]) for word in SAID))
        by_grade.add_row(grade, _share(found.precision[grade]), _share(found.recall[grade]))
    kappa = f"{found.kappa:.3f} [{found.kappa_low:.3f}, {found.kappa_high:.3f}]"
    return Group(f"Cohen's kappa {kappa}, agreement {_share(found.accuracy)}", matrix, *([by_grade] if shares else []))


def _share(share: Share) -> str:
    return "none" if share.value is None else f"{share.value:.3f} [{share.low:.3f}, {share.high:.3f}]"


def describe_difference(difference: Difference) -> str:
    """A paired difference and its interval."""
    return f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"


def _p(p: float) -> str:
    return "< .001" if p < 0.001 else f"{p:.3f}"
