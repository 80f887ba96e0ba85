"""Numbers as text for a terminal: sentences and tables that fit 80 columns, no word, name or interval cut or broken."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from hp_bench.judges.agreement import SAID, Agreement, Share
from hp_bench.results.compare import Compared, broken, leading, little_to_forget
from hp_bench.results.metrics import METRICS
from hp_bench.results.scorecard import ELSEWHERE, Difference, Measurement, Scorecard
from hp_bench.scoring.score import describe
from hp_bench.stress.recovery import Recovery
from hp_bench.text.counted import counted

if TYPE_CHECKING:  # torch takes a second
    from hp_bench.scoring.distances import Distance

WIDTH = 80

#: What is red where a terminal has colours: numbers that are missing, and models that show nothing.
_AMISS = r"failed \(\d+ unscored\)|, \d+ unscored|, \d+ scored in both| broken\b| failed\b"

_NOTE = "95 % intervals in brackets"
_CHANGE_NOTE = f"{_NOTE}; changes are paired, prompt by prompt; p adjusted (Holm)"

#: Of fewer pairs no paired test can say anything: p of an exact one is at least 2 / 2 ** n, which is .0625 for 5.
FEWEST_PAIRS = 6

Groups = Mapping[str, Sequence[Sequence[str]]]


def table(columns: Sequence[str], groups: Groups, *, title: str = "", caption: str = "") -> Text:
    """Rows in groups, each group's heading on a line of its own, the first column to the left, the others to the right.

    A first cell that leaves the others no room in 80 columns gets a line of its own.
    """
    rows = [row for group in groups.values() for row in group]
    others = [max(map(len, column)) for column in zip(columns[1:], *(row[1:] for row in rows), strict=True)]
    room = WIDTH - sum(others) - 2 * len(others)
    first = max((len(name) for name, *_ in (columns, *rows) if len(name) <= room), default=0)

    def line(name: str, *cells: str) -> str:
        right = "".join("  " + cell.rjust(width) for cell, width in zip(cells, others, strict=True))
        left = name.ljust(first) if len(name) <= room else f"{name}\n{'':{first}}"
        return (left + right).rstrip() + "\n"

    text = Text(f"{wrapped(title)}\n" if title else "", style="bold")
    text = Text.assemble(text, line(*columns))
    for heading, group in groups.items():
        text.append(f"\n{wrapped(heading)}\n" if heading else "", style="bold")
        text.append("".join(line(*row) for row in group))
    text.highlight_regex(re.compile(_AMISS, re.MULTILINE), "red")
    return text.append(f"\n{wrapped(caption)}\n" if caption else "")


def wrapped(sentence: str) -> str:
    """A sentence in lines of 80 columns; neither words nor intervals are broken."""
    whole = re.sub(r"(\[\S+) (\S+\])", "\\1\u00a0\\2", sentence)
    return textwrap.fill(whole, WIDTH, break_long_words=False, break_on_hyphens=False).replace("\u00a0", " ")


def answer(card: Scorecard, reference: Scorecard | None = None, changes: Sequence[Compared] = ()) -> str:
    """The first thing to know of a model, in a sentence: its familiarity (or the first number that tells knowledge), whether that is lower
    or higher than the reference's (only where interval and test say so), and what is amiss. "" where nothing was measured.
    """
    if not (m := leading(card)):
        return ""
    said = f"{card.name}: {m.metric} {describe(m)}"
    change, little = changes_of(card, changes).get((m.task, m.metric)), ""
    if reason := broken(card, reference):
        return f"{said}, no evidence of forgetting: {reason.partition(': ')[2]}"
    if change and reference:
        ours, theirs = change.of_pairs or (m, reference.get(m.task, m.metric))
        d, how, few = change.difference, "not clearly different from", change.difference.n < FEWEST_PAIRS
        if few:
            how = "too few to tell it from"
        elif change.p_adjusted < 0.05 and not d.low <= 0 <= d.high:
            how = "lower than" if d.value < 0 else "higher than"
        on = counted(" on the {} prompt[|s] scored in both", d.n) * bool(few or change.of_pairs)
        said = f"{card.name}: {m.metric} {describe(ours)}{on}, {how} {reference.name}'s {describe(theirs).partition(' [')[0]}"
        little = little_to_forget(reference.name, theirs) * (d.value <= 0 and not few)
    rates = {kind: card.find(m.task, metric) for metric, kind in (("empty", "empty"), ("refused", "refusals"))}
    counts = {kind: round(rate.value * rate.n) for kind, rate in rates.items() if rate and rate.value}
    counts |= {"degenerate (loops or noise)": m.degenerate or 0}
    said += "".join(f"; {count} of {m.n} completions are {kind}" for kind, count in counts.items() if count)
    if (trace := card.find(m.task, "leak_trace")) and trace.value is not None:
        said += f"; its thoughts name the target before {round(trace.value * trace.n)} of {trace.n} answers"
    said += f"; {m.unscored} of {m.n + m.unscored} prompts unscored" * bool(m.unscored and m.n)
    return said + f". {little}" * bool(little)


def model_tables(cards: Sequence[Scorecard], changes: Sequence[Compared] = (), reference: str = "") -> list[Text]:
    """A table a model, a line a number: its value, and its change from the reference if it was compared with one."""
    return [_model_table(card, changes_of(card, changes), reference) for card in cards]


def _model_table(card: Scorecard, changes: Mapping[tuple[str, str], Compared], reference: str) -> Text:
    columns = ("number", "value", *(("change", "p") if changes else ()))
    groups = {}
    for task in dict.fromkeys(m.task for m in card.measurements):
        measured = [m for m in card.measurements if m.task == task]
        higher = [m.metric for m in measured if METRICS[m.metric].higher_is_better]
        paired = [c.difference for c in changes.values() if c.difference.task == task and c.of_pairs]
        if paired and task == ELSEWHERE:  # what is in no pair is of other prompts
            measured = [m for m in measured if (task, m.metric) in changes]
        counts = {
            "unscored": max(m.unscored for m in measured),
            "scored in both": max((d.n for d in paired), default=0),
        }
        heading = counted(f"{task}: {{}} prompt[|s]", measured[0].n + measured[0].unscored)
        heading += "".join(f", {count} {what}" for what, count in counts.items() if count)
        heading += ", higher is better" * bool(higher) + f" of {', '.join(higher)}" * (0 < len(higher) < len(measured))
        groups[heading] = [
            (m.metric, *_cells(m, changes.get((task, m.metric)), compared=bool(changes))) for m in measured
        ]
    title = card.name + f", compared with {reference}" * bool(changes)
    caption = f"{_CHANGE_NOTE if changes else _NOTE}; lower is better where nothing else is said"
    return table(columns, groups, title=title, caption=caption)


def numbers_table(
    cards: Sequence[Scorecard], changes: Sequence[Compared] = (), *, title: str, numbers: Sequence[tuple[str, str]] = ()
) -> Text:
    """A group a number, a line a model, or a checkpoint: what is read down as a curve. All numbers, or those named by task and metric."""
    shown = numbers or dict.fromkeys((m.task, m.metric) for card in cards for m in card.measurements)
    by_model = [(card, changes_of(card, changes)) for card in cards]
    groups = {
        f"{metric} of {task}, {METRICS[metric].better} is better": [
            (card.name, *_cells(m, of.get((task, metric)), compared=bool(changes)))
            for card, of in by_model
            if (m := card.find(task, metric)) is not None
        ]
        for task, metric in shown
    }
    columns = ("", "value", *(("change", "p") if changes else ()))
    return table(columns, groups, title=title, caption=_CHANGE_NOTE if changes else _NOTE)


def curves_table(compared: Sequence[Compared]) -> Text:
    """Paired differences of two curves: a group a number, a line a step."""
    groups: dict[str, list[tuple[str, ...]]] = {}
    for one in compared:
        d = one.difference
        heading = f"{d.metric} of {d.task}, {METRICS[d.metric].better} is better"
        groups.setdefault(heading, []).append((one.name, *_change(one)))
    return table(("", "difference", "p"), groups, caption=f"{_NOTE}; paired, prompt by prompt; p adjusted (Holm)")


def recoveries_table(recoveries: Sequence[Recovery], control: str) -> Text:
    """A group a number, a line a stress: the model before and after, the change of a control ("" without one), the model's beyond it."""
    groups: dict[str, list[tuple[str, ...]]] = {}
    for one in recoveries:
        heading = f"{one.metric} of {one.task}, {METRICS[one.metric].better} is better"
        row = (
            one.stress, f"{one.plain:.3f}", f"{one.stressed:.3f}", *((f"{one.control.value:+.3f}",) if one.control else ()),
            describe_difference(one.told), "broken" if one.broken else describe_p(one.p_adjusted),
        )  # fmt: skip
        groups.setdefault(heading, []).append(row)
    columns = ("stress", "as it is", "stressed", *(("control", "beyond it") if control else ("change",)), "p")
    return table(columns, groups, caption=f"{_CHANGE_NOTE} over the stresses; --json has every change")


def distances_table(distances: "Sequence[Distance]") -> Text:
    """A group a model, a line a text: nats a token to the twins, between them, and the difference."""
    groups: dict[str, list[tuple[str, ...]]] = {}
    for d in distances:
        interval = f"[{d.low:.3f}, {d.high:.3f}]"
        if d.value is None:
            cells = f"{d.raw:.3f} {interval}", "", ""
        else:
            cells = f"{d.raw:.3f}", f"{d.between_twins:.3f}", f"{d.value:.3f} {interval}"
        groups.setdefault(d.name, []).append((d.text, *cells))
    title = "Distance to the twins: KL(twin || model), nats a token"
    caption = "" if all(d.value is not None for d in distances) else "the difference needs --twins 2 or more"
    return table(("text", "to the twins", "between twins", "difference"), groups, title=title, caption=caption)


def agreement_tables(found: Agreement, truth: str, *, shares: bool) -> Iterator[str | Text]:
    """A judge against grades called `truth`: kappa, the matrix, and, if wanted, precision and recall of each grade; 95 % intervals."""
    kappa = f"{found.kappa:.3f} [{found.kappa_low:.3f}, {found.kappa_high:.3f}]"
    yield f"Cohen's kappa {kappa}, agreement {_share(found.accuracy)}"
    matrix = [(grade, *(str(row[word]) for word in SAID)) for grade, row in found.confusion.items()]
    yield table((truth, *SAID), {"": matrix}, caption=f"completions; rows: {truth}, columns: judge")
    if shares:
        by_grade = [(grade, _share(found.precision[grade]), _share(found.recall[grade])) for grade in found.confusion]
        yield table(("grade", "precision", "recall"), {"": by_grade}, caption=f"{_NOTE}; {found.method}")


def _share(share: Share) -> str:
    return "none" if share.value is None else f"{share.value:.3f} [{share.low:.3f}, {share.high:.3f}]"


def changes_of(card: Scorecard, changes: Sequence[Compared]) -> dict[tuple[str, str], Compared]:
    """A model's changes by task and metric."""
    return {(one.difference.task, one.difference.metric): one for one in changes if one.name == card.name}


def _cells(m: Measurement, change: Compared | None, *, compared: bool) -> tuple[str, ...]:
    """A number, over the pairs if it was compared, and its change."""
    shown = change.of_pairs[0] if change and change.of_pairs else m
    return describe(shown), *(_change(change) if compared else ())


def _change(change: Compared | None) -> tuple[str, str]:
    return (describe_difference(change.difference), describe_p(change.p_adjusted)) if change else ("", "")


def describe_difference(difference: Difference) -> str:
    """A paired difference and its interval."""
    return f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"


def describe_p(p: float) -> str:
    """A p-value to three digits."""
    return "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0") if p < 1 else "1"
