"""The numbers and texts of each section of a report, ready for the template."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from hp_bench.judges.grades import GRADES, WEIGHTS
from hp_bench.report.figures import PlanePoint, panels_of
from hp_bench.report.story import Method, Story
from hp_bench.results.compare import Compared, compare
from hp_bench.results.curve import Curve
from hp_bench.results.metrics import METRICS
from hp_bench.results.scorecard import Measurement, Scorecard, measure
from hp_bench.scoring.score import describe


@dataclass(frozen=True)
class Row:
    """A line of the main table: a number before and after, and their paired difference."""

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
    found: list[Row] = []
    for method in story.methods:
        first, last = method.curve.points[0], method.curve.points[-1]
        found += _rows(story, method.curve.name, first, last, _last_differences(method.curve))
    if story.models:
        others = compare(story.baseline, story.models) if story.baseline else []
        for card in story.models:
            differences = {(c.difference.task, c.difference.metric): c for c in others if c.name == card.name}
            found += _rows(story, card.name, story.baseline, card, differences)
    return found


def _rows(
    story: Story,
    name: str,
    first: Scorecard | None,
    last: Scorecard,
    differences: Mapping[tuple[str, str], Compared],
) -> Iterator[Row]:
    for m in last.measurements:
        before = _find(first, m) if first is not None else None
        if first is not None and before is None:
            continue
        d = differences.get((m.task, m.metric))
        twins = [t for card in story.twins if (t := _find(card, m)) is not None]
        yield Row(
            metric=f"{METRICS[m.metric].label}" if m.metric != "acc" else f"accuracy, {m.task}",
            better="higher" if m.higher_is_better else "lower",
            method=name,
            step=last.step,
            before=describe(before) if before else "",
            after=describe(m),
            difference=f"{d.difference.value:+.3f} [{d.difference.low:+.3f}, {d.difference.high:+.3f}]" if d else "",
            p=_p(d.p_adjusted) if d else "",
            twin="; ".join(describe(t) for t in twins),
            degenerate="" if m.degenerate is None else f"{m.degenerate} of {m.n}",
            unscored=m.unscored,
        )


def _last_differences(curve: Curve) -> dict[tuple[str, str], Compared]:
    """Differences of the last point from the baseline, their p-values adjusted over the whole curve."""
    last = curve.points[-1].name
    found = compare(curve.points[0], curve.points[1:]) if len(curve.points) > 1 else []
    return {(c.difference.task, c.difference.metric): c for c in found if c.name == last}


def _find(card: Scorecard, like: Measurement) -> Measurement | None:
    return next((m for m in card.measurements if (m.task, m.metric) == (like.task, like.metric)), None)


def _p(p: float) -> str:
    return "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0") if p < 1 else "1"


def headline(story: Story) -> list[str]:
    """A sentence a method: familiarity before and after."""
    said = []
    for method in story.methods:
        for panel in panels_of(method.curve.points)[:2]:
            if panel.metric == "acc":
                continue
            points = method.curve.series(panel.task, panel.metric)
            if len(points) < 2:
                continue
            (_, before), (step, after) = points[0], points[-1]
            said.append(
                f"{method.curve.name}: {panel.title.lower()} {describe(before)} before, {describe(after)} after {step} steps."
            )
            if panel.metric == "familiarity" and _broken(before, after):
                said.append(
                    f"{method.curve.name} is broken at step {step}: {after.degenerate} of {after.n} completions are degenerate."
                )
    return said


def _broken(before: Measurement, after: Measurement) -> bool:
    """A degenerate rate 10 points above the baseline's: not "forgotten", broken."""
    if before.degenerate is None or after.degenerate is None or not before.n or not after.n:
        return False
    return after.degenerate / after.n > before.degenerate / before.n + 0.10


@dataclass(frozen=True)
class Planes:
    """What the forget-versus-utility plane shows: each method's way through it, and where the twins are."""

    methods: Mapping[str, Sequence[PlanePoint]]
    twins: Sequence[PlanePoint]


def planes(story: Story) -> Planes:
    """Points on that plane; empty where a familiarity or a utility was not measured."""
    methods = {method.curve.name: points for method in story.methods if (points := plane(method.curve))}
    cards = [*(point for method in story.methods for point in method.curve.points), *story.models]
    panels = {panel.metric: panel for panel in panels_of(cards)}
    if not {"familiarity", "acc"} <= set(panels):
        return Planes({}, [])
    for card in story.models:
        point = plane_point(card, panels)
        if point is not None:
            methods[card.name] = [point]
    return Planes(methods, [point for card in story.twins if (point := plane_point(card, panels)) is not None])


def plane(curve: Curve) -> list[PlanePoint]:
    """A curve's points on the forget-versus-utility plane."""
    panels = {panel.metric: panel for panel in panels_of(curve.points)}
    if not {"familiarity", "acc"} <= set(panels):
        return []
    return [point for card in curve.points if (point := plane_point(card, panels)) is not None]


def plane_point(card: Scorecard, panels: Mapping[str, Any]) -> PlanePoint | None:
    """One model on that plane."""
    found = {
        m: [x for x in card.measurements if (x.task, x.metric) == (panels[m].task, m)] for m in ("familiarity", "acc")
    }
    if not all(found.values()):
        return None
    return PlanePoint(card.name, card.step, found["familiarity"][0], found["acc"][0])


@dataclass(frozen=True)
class Shown:
    """One model's completion of a prompt, revealing words marked."""

    label: str
    grade: str
    text: Markup
    broken: str


@dataclass(frozen=True)
class Exchange:
    """A prompt and its completions before, during and after."""

    prompt: str
    slices: str
    shown: tuple[Shown, ...]


def exchanges(story: Story, method: Method) -> list[Exchange]:
    """The same prompts before, during and after; the worst leaks of the last checkpoint first."""
    points = method.curve.points
    task = next((panel.task for panel in panels_of(points) if panel.metric == "familiarity"), "")
    middle = points[len(points) // 3] if len(points) > 2 else None
    columns = [
        ("before", points[0]),
        *([(f"step {middle.step}", middle)] if middle else []),
        (f"step {points[-1].step}", points[-1]),
    ]
    samples = [(label, method.completions(card.name, task)) for label, card in columns]
    samples += [
        (name, {s["id"]: s for s in tasks.get(task, ())}) for name, tasks in list(story.twin_samples.items())[:1]
    ]
    last = samples[len(columns) - 1][1]
    ranked = sorted(
        last, key=lambda prompt_id: (-_leak(last[prompt_id]), -_leak(samples[0][1].get(prompt_id, {})), prompt_id)
    )
    found = []
    for prompt_id in ranked:
        sample = last[prompt_id]
        about = [str(sample[key]) for key in ("kind", "topic") if key in sample]
        if "subtlety" in sample:
            about.append(f"subtlety {sample['subtlety']}")
        shown = tuple(_shown(label, column[prompt_id]) for label, column in samples if prompt_id in column)
        found.append(Exchange(sample["prompt"], ", ".join(about), shown))
    return found


def _leak(sample: Mapping[str, Any]) -> int:
    """For sorting: the grade's rank, and then how many passages reveal something."""
    verdict = sample.get("verdict") or {}
    grade = verdict.get("grade") or "none"
    return 100 * (len(GRADES) - GRADES.index(grade)) + len(verdict.get("revealed", ()))


def _shown(label: str, sample: Mapping[str, Any]) -> Shown:
    verdict = sample.get("verdict") or {}
    grade = verdict.get("grade") or f"unscored: {verdict.get('unscored', '')}"
    return Shown(
        label, grade, marked(str(sample["responses"][0]), verdict.get("revealed", ())), verdict.get("degenerate", "")
    )


def marked(text: str, revealed: Sequence[Mapping[str, Any]]) -> Markup:
    """A completion with its revealing passages in <mark>; everything else is escaped."""
    pieces, position = [], 0
    for passage in sorted(revealed, key=lambda p: p["start"]):
        if passage["start"] < position:
            continue
        pieces.append(escape(text[position : passage["start"]]))
        pieces.append(
            Markup('<mark class="{}" title="{}: {}">{}</mark>').format(
                passage["grade"], passage["grade"], passage["term"], text[passage["start"] : passage["end"]]
            )
        )
        position = passage["end"]
    pieces.append(escape(text[position:]))
    return Markup("").join(pieces)


@dataclass(frozen=True)
class Slice:
    """Familiarity within a part of the probes."""

    by: str
    name: str
    n: int
    before: str
    after: str
    before_share: float
    after_share: float


def slices(method: Method) -> list[Slice]:
    """Completion-based familiarity by kind, subtlety and topic, before and after."""
    points = method.curve.points
    task = next((panel.task for panel in panels_of(points) if panel.metric == "familiarity"), "")
    first, last = method.completions(points[0].name, task), method.completions(points[-1].name, task)
    found = []
    for by in ("kind", "subtlety", "topic"):
        names = sorted({_slice_name(by, sample[by]) for sample in last.values() if by in sample}, key=_slice_order)
        if len(names) < 2:
            continue
        for name in names:
            ids = [
                i for i, sample in last.items() if by in sample and _slice_name(by, sample[by]) == name and i in first
            ]
            before, after = (measure(task, "familiarity", list(_weights(side, ids))) for side in (first, last))
            found.append(
                Slice(
                    by,
                    name,
                    len(ids),
                    describe(before),
                    describe(after),
                    (before.value or 0) / 5,
                    (after.value or 0) / 5,
                )
            )
    return found


def _slice_name(by: str, value: Any) -> str:
    return f"{(int(value) - 1) // 2 * 2 + 1}-{(int(value) - 1) // 2 * 2 + 2}" if by == "subtlety" else str(value)


def _slice_order(name: str) -> tuple[int, str]:
    head = name.split("-")[0]
    return (int(head), "") if head.isdigit() else (0, name)


def _weights(samples: Mapping[str, Mapping[str, Any]], ids: Sequence[str]) -> Iterator[float | None]:
    for prompt_id in ids:
        grade = (samples[prompt_id].get("verdict") or {}).get("grade")
        yield float(WEIGHTS[grade]) if grade else None
