"""The numbers and texts of each section of a report, ready for the template."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from hp_bench.judges.grades import GRADES, WEIGHTS
from hp_bench.report.figures import panels_of
from hp_bench.report.story import Story
from hp_bench.report.tables import changes_of, describe_difference, describe_p
from hp_bench.results.compare import Compared, compare, doubts, incomparable, leading, little_to_forget, too_degenerate
from hp_bench.results.curve import Curve
from hp_bench.results.metrics import METRICS
from hp_bench.results.scorecard import ELSEWHERE, Scorecard, measure
from hp_bench.scoring.score import describe


@dataclass(frozen=True)
class Row:
    """A line of the main table: a number before and after, and their paired difference."""

    task: str
    metric: str
    better: str
    method: str
    step: int | None
    before: str
    after: str
    difference: str
    p: str
    twin: str
    degenerate: str
    unscored: int


def table(story: Story) -> list[Row]:
    """Before and after of every method, and every model beside the baseline, in every metric, with the twins."""
    rows: list[Row] = []
    for method in story.methods:
        first, *others = method.points
        compared = compare(first, others) if others else []
        rows += _rows(story, method.name, first, method.points[-1], compared)
    compared = compare(story.baseline, story.models) if story.baseline and story.models else []
    for card in story.models:
        rows += _rows(story, card.name, story.baseline, card, compared)
    return rows


def _rows(
    story: Story, name: str, first: Scorecard | None, last: Scorecard, compared: Sequence[Compared]
) -> Iterator[Row]:
    differences = changes_of(last, compared)
    for m in last.measurements:
        key = m.task, m.metric
        before = first.find(*key) if first is not None else None
        d = differences.get(key)
        if first is not None and (before is None or (d is None and m.task == ELSEWHERE)):
            continue
        before, after = (d.of_pairs[1], d.of_pairs[0]) if d and d.of_pairs else (before, m)
        twins = [t for card in story.twins if (t := card.find(*key)) is not None]
        change = describe_difference(d.difference) + f" on {d.difference.n} prompts" * bool(d.of_pairs) if d else ""
        yield Row(
            task=m.task,
            metric=METRICS[m.metric].label if m.metric != "acc" else f"accuracy, {m.task}",
            better=METRICS[m.metric].better,
            method=name,
            step=last.step,
            before=describe(before) if before else "",
            after=describe(after),
            difference=change,
            p=describe_p(d.p_adjusted) if d else "",
            twin="; ".join(describe(t) for t in twins),
            degenerate="" if m.degenerate is None else f"{m.degenerate} of {m.n}",
            unscored=m.unscored,
        )


def headline(story: Story) -> list[str]:
    """A sentence a method: familiarity before and after; and one on a baseline that had little to forget."""
    said = []
    for method in story.methods:
        for panel in panels_of(method.points):
            points = method.series(panel.task, panel.metric)
            if panel.metric == "acc" or len(points) < 2:
                continue
            (_, before), (step, after) = points[0], points[-1]
            change = f"{describe(before)} before, {describe(after)} after {step} steps"
            said.append(f"{method.name}: {panel.title.lower()} {change}.")
            if panel.metric == "familiarity" and before.degenerate is not None and too_degenerate(after, before):
                many = f"{after.degenerate} of {after.n} completions are degenerate (loops or noise)"
                said.append(f"{method.name} is broken at step {step}: {many}.")
    reasons = [one for card in story.models[1:] for one in incomparable(story.models[0], card)]
    if not story.start and reasons:
        said.append(f"Not all of these models were asked alike: {reasons[0]}.")
    if story.start and (little := little_to_forget(story.start.name, leading(story.start))):
        said.append(f"{little}.")
    cards = [*(card for method in story.methods for card in method.points), *story.ends, *story.twins]
    return said + [f"{doubt[0].upper()}{doubt[1:]}." for doubt in doubts(cards)]


def exchanges(story: Story, method: Curve) -> list[dict[str, Any]]:
    """The same prompts before, during and after; the worst leaks of the last checkpoint first.

    Returns:
        Each with its `prompt`, its `slices` in words, and `shown`: of each model `label`, `grade`, `text` (revealing words marked) and
        `broken`.
    """
    points = method.points
    task = _familiarity_task(method)
    later = [*([points[len(points) // 3]] if len(points) > 2 else []), points[-1]]
    columns = [("before", points[0]), *((f"step {card.step}", card) for card in later)]
    samples = [(label, story.completions(card.name, task)) for label, card in columns]
    first, last = samples[0][1], samples[-1][1]
    samples += [(twin.name, story.completions(twin.name, task)) for twin in story.twins[:1]]
    made = []
    for prompt_id in sorted(last, key=lambda i: (-_leak(last[i]), -_leak(first.get(i, {})), i)):
        sample = last[prompt_id]
        about = [str(sample[key]) for key in ("kind", "topic") if key in sample]
        if "subtlety" in sample:
            about.append(f"subtlety {sample['subtlety']}")
        shown = [_shown(label, column[prompt_id]) for label, column in samples if prompt_id in column]
        made.append({"prompt": sample["prompt"], "slices": ", ".join(about), "shown": shown})
    return made


def _familiarity_task(method: Curve) -> str:
    return next((panel.task for panel in panels_of(method.points) if panel.metric == "familiarity"), "")


def _leak(sample: Mapping[str, Any]) -> int:
    """For sorting: the grade's rank, and then how many passages reveal something."""
    verdict = sample.get("verdict") or {}
    grade = verdict.get("grade") or "none"
    return 100 * (len(GRADES) - GRADES.index(grade)) + len(verdict.get("revealed", ()))


def _shown(label: str, sample: Mapping[str, Any]) -> dict[str, Any]:
    verdict = sample.get("verdict") or {}
    grade = verdict.get("grade") or f"unscored: {verdict.get('unscored', '')}"
    text = marked(str(sample["responses"][0]), verdict.get("revealed", ()))
    return {"label": label, "grade": grade, "text": text, "broken": verdict.get("degenerate", "")}


def marked(text: str, revealed: Sequence[Mapping[str, Any]]) -> Markup:
    """A completion with its revealing passages in <mark>; everything else is escaped."""
    pieces, position = [], 0
    for passage in sorted(revealed, key=lambda p: p["start"]):
        if passage["start"] < position:
            continue
        grade, term, start, end = (passage[key] for key in ("grade", "term", "start", "end"))
        pieces.append(escape(text[position:start]))
        pieces.append(Markup('<mark class="{}" title="{}: {}">{}</mark>').format(grade, grade, term, text[start:end]))
        position = end
    pieces.append(escape(text[position:]))
    return Markup("").join(pieces)


def slices(story: Story, method: Curve) -> list[dict[str, Any]]:
    """Completion-based familiarity `before` and `after`, `by` kind, subtlety and topic: the part's `name`, its `n` prompts."""
    points, task = method.points, _familiarity_task(method)
    first, last = story.completions(points[0].name, task), story.completions(points[-1].name, task)
    made = []
    for by in ("kind", "subtlety", "topic"):
        names = {i: _slice_name(by, sample[by]) for i, sample in last.items() if by in sample}
        for name in sorted(set(names.values()), key=_slice_order) if len(set(names.values())) > 1 else ():
            ids = [i for i in names if names[i] == name and i in first]
            before, after = (measure(task, "familiarity", list(_weights(side, ids))) for side in (first, last))
            made.append({"by": by, "name": name, "n": len(ids), "before": before, "after": after})
    return made


def _slice_name(by: str, value: Any) -> str:
    if by != "subtlety":
        return str(value)
    low = (int(value) - 1) // 2 * 2 + 1
    return f"{low}-{low + 1}"


def _slice_order(name: str) -> tuple[int, str]:
    head = name.split("-")[0]
    return (int(head), "") if head.isdigit() else (0, name)


def _weights(samples: Mapping[str, Mapping[str, Any]], ids: Sequence[str]) -> Iterator[float | None]:
    for prompt_id in ids:
        grade = (samples[prompt_id].get("verdict") or {}).get("grade")
        yield float(WEIGHTS[grade]) if grade else None
