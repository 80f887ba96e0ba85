"""Curves -> figures. Colours and markers can be told apart by colour-blind readers and in print; every number has its interval."""

import io
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from hp_bench.results.curve import Curve
from hp_bench.results.metrics import METRICS
from hp_bench.results.scorecard import Measurement, Scorecard
from unlearn.files import whole_file

#: Okabe and Ito's palette, with a marker and a line for each.
SERIES = (
    ("#0072B2", "o", "-"), ("#D55E00", "s", "--"), ("#009E73", "^", "-."),
    ("#CC79A7", "D", ":"), ("#E69F00", "v", "-"), ("#56B4E9", "P", "--"),
)  # fmt: skip

#: Twins, and what is no method.
GREY = "#8A8A8A"

#: Same figure, same bytes.
_SAVING: Any = {"svg.hashsalt": "hp-bench", "svg.fonttype": "none", "font.family": "sans-serif"}


#: The paper's own figures.
PAPER: dict[str, Any] = tomllib.loads(Path(__file__).with_name("paper.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Panel:
    """A number to be drawn: lm-eval task or group, a key of METRICS, what stands above, and which way is better, in words."""

    task: str
    metric: str
    title: str
    direction: str


@dataclass(frozen=True)
class Theme:
    """Ink and paper."""

    ink: str
    paper: str
    grid: str


LIGHT = Theme(ink="#1a1a1a", paper="#ffffff", grid="#dddddd")

DARK = Theme(ink="#e8e8e8", paper="#16181c", grid="#3a3d44")


def panels_of(cards: Sequence[Scorecard]) -> list[Panel]:
    """The panels that some scorecards can fill: both familiarities, then utility."""
    tasks = {(m.task, m.metric) for card in cards for m in card.measurements}
    wanted = (
        ("familiarity", "Completion-based familiarity", "lower = less familiar"),
        ("token_probability", "Probability-based familiarity", "lower = less familiar"),
        ("acc", "Utility", "higher = better"),
    )  # fmt: skip
    panels = []
    for metric, title, direction in wanted:
        names = sorted(task for task, other in tasks if other == metric and "leak" not in task)
        if names:
            group = next((name for name in names if name.endswith("utility")), names[0])
            panels.append(Panel(group, metric, title, direction))
    return panels


def draw_curve(
    curves: Sequence[Curve], twins: Sequence[Scorecard] = (), *, theme: Theme = LIGHT, columns: int = 2
) -> Figure:
    """Both familiarities and utility against optimiser steps, with 95 % intervals, and the paper's Figure 5 in a panel of its own.

    Args:
        curves: one per method; the same tasks in all of them.
        twins: models that never read the unlearn target; drawn as a band from the lowest to the highest end of their intervals.
        theme: light or dark.
        columns: of panels; 1 for a narrow screen.
    """
    panels = panels_of([*(point for curve in curves for point in curve.points), *twins])
    count = len(panels) + 1
    columns = min(columns, count)
    rows = -(-count // columns)
    height = 3.6 * rows + 0.5
    figure = new_figure(5.2 * columns, height, theme)
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis, panel in zip(axes, panels, strict=False):
        _draw_panel(axis, panel, curves, twins, theme)
    _draw_paper(axes[len(panels)], theme)
    for axis in axes[count:]:
        axis.set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="lower center", ncols=min(4 if columns > 1 else 2, len(labels)), frameon=False, labelcolor=theme.ink,
        fontsize=9,
    )  # fmt: skip
    figure.subplots_adjust(
        left=0.18 / columns, right=0.975, top=1 - 0.54 / height, bottom=1.1 / height, hspace=0.42, wspace=0.26
    )
    return figure


def _draw_panel(axis: Any, panel: Panel, curves: Sequence[Curve], twins: Sequence[Scorecard], theme: Theme) -> None:
    tallest = 0.0
    for number, curve in enumerate(curves):
        colour, marker, line = SERIES[number % len(SERIES)]
        points = curve.series(panel.task, panel.metric)
        steps, values = [step for step, _ in points], [m.value or 0.0 for _, m in points]
        nudge = [step + (number - (len(curves) - 1) / 2) * 1.2 if step else step for step in steps]
        bars = _bars([m for _, m in points])
        axis.errorbar(
            nudge, values, yerr=bars, color=colour, marker=marker, linestyle=line, markersize=5, linewidth=1.6, capsize=2.5,
            elinewidth=1.0, label=curve.name,
        )  # fmt: skip
        tallest = max([tallest, *(value + above for value, above in zip(values, bars[1], strict=True))])
    measured = [m for t in twins if (m := t.find(panel.task, panel.metric)) and m.value is not None]
    if measured:
        low, high = min(m.interval.low for m in measured), max(m.interval.high for m in measured)
        name = "twin (never read the target)" if len(twins) == 1 else f"{len(twins)} twins (never read the target)"
        axis.axhspan(low, high, color=GREY, alpha=0.28, linewidth=0, label=f"{name}, 95 % interval")
        tallest = max(tallest, high)
    _dress(axis, panel.title, panel.direction, theme)
    taken = sorted({point.step for curve in curves for point in curve.points if point.step is not None})
    if 1 < len(taken) <= 9:
        axis.set_xticks(taken)
    axis.set_ylim(*((0, 1) if METRICS[panel.metric].higher_is_better else (-0.02 * tallest, tallest * 1.06 or 1)))


def _bars(measurements: Sequence[Measurement]) -> list[list[float]]:
    """How far the 95 % intervals reach below the values, and how far above, as `errorbar` takes it."""
    values = [(m.value or 0.0, m.interval) for m in measurements]
    return [[value - i.low for value, i in values], [i.high - value for value, i in values]]


def _draw_paper(axis: Any, theme: Theme) -> None:
    tasks = PAPER["accuracy"].values()
    accuracy = [sum(values) / len(tasks) for values in zip(*tasks, strict=True)]
    for values, colour, marker, line, label in (
        (PAPER["completion"], theme.ink, "o", "-", "familiarity, completion"),
        (PAPER["probability"], theme.ink, "s", "--", "familiarity, probability"),
        (accuracy, GREY, "^", ":", f"accuracy, mean of {len(tasks)} tasks"),
    ):
        axis.plot(
            PAPER["steps"],
            values,
            color=colour,
            marker=marker,
            markersize=3.5,
            linewidth=1.2,
            linestyle=line,
            label=label,
        )
    _dress(axis, f"For comparison: the paper's {PAPER['model']}", "another model, another judge, other prompts", theme)
    axis.set_ylim(0, 1)
    legend = axis.legend(fontsize=7.5, frameon=False, loc="center right", labelcolor=theme.ink)
    legend.set_title(PAPER["source"], prop={"size": 7.5})
    legend.get_title().set_color(theme.ink)
    axis.set_facecolor((0.5, 0.5, 0.5, 0.08))


@dataclass(frozen=True)
class PlanePoint:
    """A model on the forget-versus-utility plane: its name, step and the two measurements."""

    name: str
    step: int | None
    familiarity: Measurement
    utility: Measurement


def draw_plane(
    curves: Mapping[str, Sequence[PlanePoint]], twins: Sequence[PlanePoint], *, theme: Theme = LIGHT
) -> Figure:
    """Utility against familiarity, each method's way through the plane from the baseline on; the best place is the twins'."""
    figure = new_figure(5.6, 4.9, theme)
    axis = figure.subplots()
    for number, (name, points) in enumerate(curves.items()):
        colour, marker, line = SERIES[number % len(SERIES)]
        axis.plot(
            [p.familiarity.value or 0.0 for p in points], [p.utility.value or 0.0 for p in points], color=colour, marker=marker,
            linestyle=line, markersize=5, linewidth=1.3, label=name,
        )  # fmt: skip
        _cross(axis, points[-1], colour)
        for point in dict.fromkeys((points[0], points[-1])) if len(points) > 1 else ():
            if number and point is points[0]:
                continue  # the baseline, where all methods begin
            if point.familiarity.value is not None and point.utility.value is not None:
                label = "baseline" if point.step == 0 else f"step {point.step}"
                axis.annotate(
                    label, (point.familiarity.value, point.utility.value), textcoords="offset points", fontsize=8,
                    xytext=(-6, 9) if point is points[0] else (7, 7 - 20 * number), ha="right" if point is points[0] else "left",
                    color=theme.ink,
                )  # fmt: skip
    for index, twin in enumerate(twins):
        _cross(axis, twin, GREY, marker="*", label=None if index else "twins")
    _dress(axis, "Forgetting against utility", "the utility axis does not begin at 0", theme)
    axis.set_xlabel("completion-based familiarity (lower = less familiar)", color=theme.ink, fontsize=9)
    axis.set_ylabel("utility (higher = better)", color=theme.ink, fontsize=9)
    utilities = [p.utility for points in (*curves.values(), twins) for p in points if p.utility.value is not None]
    if utilities:
        low, high = min(u.interval.low for u in utilities), max(u.interval.high for u in utilities)
        axis.set_ylim(max(0, low - 0.1), min(1, high + 0.05))
    axis.legend(fontsize=8.5, frameon=False, labelcolor=theme.ink, loc="lower right")
    figure.subplots_adjust(left=0.12, right=0.97, top=0.92, bottom=0.13)
    return figure


#: Who knows what is asked at each level of fame.
FAME = ("everybody", "film viewers", "fans", "attentive readers", "readers alone")


def draw_fame(models: Sequence[Scorecard], twins: Sequence[Scorecard] = (), *, theme: Theme = LIGHT) -> Figure | None:
    """Explicit completions by the fame of what is asked, with 95 % intervals: what is forgotten first, and what survives.

    `models`: the baseline first. None where a prompt's fame is not known.
    """
    lines = [(card.name, shares) for card in models if (shares := _by_fame(card))]
    if not lines:
        return None
    figure = new_figure(5.6, 4.2, theme)
    axis = figure.subplots()
    places = range(1, len(FAME) + 1)
    grey = [(card.name, shares) for card in twins if (shares := _by_fame(card))]
    for number, (name, shares) in enumerate([*lines, *grey]):
        twin = number >= len(lines)
        colour, marker, line = (GREY, "*", ":") if twin else SERIES[number % len(SERIES)]
        nudge = [place + 0.06 * (number - (len(lines) + len(grey) - 1) / 2) for place in places]
        axis.errorbar(
            nudge, [m.value or 0.0 for m in shares], yerr=_bars(shares), color=colour, marker=marker, linestyle=line, markersize=5,
            linewidth=1.4, capsize=2.5, elinewidth=1.0, label=f"{name} (never read the target)" if twin else name,
        )  # fmt: skip
    _dress(axis, "Explicit completions by fame", "lower = less familiar; 95 % intervals", theme)
    axis.set_xlabel("who knows the answer (fame of the prompt)", color=theme.ink, fontsize=9)
    axis.set_xticks(list(places), [f"{place}\n{who}" for place, who in zip(places, FAME, strict=True)], fontsize=7.5)
    axis.set_ylim(-0.02, 1)
    axis.legend(
        fontsize=8.5, frameon=False, labelcolor=theme.ink, loc="upper center", bbox_to_anchor=(0.5, -0.19), ncols=2
    )
    figure.subplots_adjust(left=0.1, right=0.95, top=0.91, bottom=0.3)
    return figure


#: Task of samples -> title, and the end of the task's name and the number of greedy answers to the same prompts.
_SAMPLED = {
    "hp_familiarity_leak": ("An explicit completion among k samples", "_familiarity", "explicit"),
    "hp_qa_leak": ("The answer to a fact among k samples", "_qa", "cloze_exact"),
}

#: leak@k by k.
_LEAKS = {1: "leak_1", 2: "leak_2", 4: "leak_4", 8: "leak_8", 16: "leak"}


def draw_leaks(
    models: Sequence[tuple[str, Scorecard]],
    twins: Sequence[tuple[str, Scorecard]] = (),
    *,
    theme: Theme = LIGHT,
    columns: int = 2,
) -> Figure | None:
    """leak@k against k, with 95 % intervals over prompts, and what greedy decoding says on the left; None where nothing was sampled.

    Args:
        models: names and scorecards, the baseline first.
        twins: models that never read the target.
        theme: light or dark.
        columns: of panels; 1 for a narrow screen.
    """
    asked = [task for task in _SAMPLED if any(len(_leaks(card, task)) > 1 for _, card in (*models, *twins))]
    if not asked:
        return None
    rows = -(-len(asked) // columns)
    height = 3.4 * rows + 0.7
    figure = new_figure(5.2 * columns, height, theme)
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis in axes[len(asked) :]:
        axis.set_visible(False)
    for axis, task in zip(axes, asked, strict=False):
        title, end, metric = _SAMPLED[task]
        shown = [(name, card) for name, card in (*models, *twins) if _leaks(card, task)]
        for number, (name, card) in enumerate(shown):
            twin = (name, card) in twins
            colour, marker, line = (GREY, "*", ":") if twin else SERIES[number % len(SERIES)]
            how: dict[str, Any] = {
                "color": colour,
                "marker": marker,
                "markersize": 5,
                "capsize": 2.5,
                "elinewidth": 1.0,
            }
            nudge = 1.04 ** (number - (len(shown) - 1) / 2)
            points = _leaks(card, task)
            axis.errorbar(
                [k * nudge for k in points], [m.value or 0.0 for m in points.values()], yerr=_bars([*points.values()]),
                linestyle=line, linewidth=1.4, label=f"{name} (never read the target)" if twin else name, **how,
            )  # fmt: skip
            greedy = [
                m for m in card.measurements if m.metric == metric and m.task.endswith(end) and m.value is not None
            ]
            axis.errorbar(
                [0.5 * nudge] * len(greedy), [m.value for m in greedy], yerr=_bars(greedy), linestyle="", **how
            )
        _dress(axis, title, "lower = less known; 95 % intervals", theme)
        axis.set_xlabel("k, samples of a prompt", color=theme.ink, fontsize=9)
        axis.set_xscale("log", base=2)
        axis.set_xticks([0.5, *_LEAKS], ["greedy", *map(str, _LEAKS)])
        axis.minorticks_off()
        axis.set_xlim(0.4, 20)
        axis.set_ylim(-0.02, 1.02)
    handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(
        [*handles.values()], [*handles], loc="lower center", ncols=min(3 if columns > 1 else 1, len(handles)), frameon=False,
        labelcolor=theme.ink, fontsize=9,
    )  # fmt: skip
    figure.subplots_adjust(
        left=0.2 / (columns + 0.6), right=0.975, top=1 - 0.54 / height, hspace=0.5, wspace=0.2,
        bottom=(0.6 + 0.2 * (-(-len(handles) // 3) if columns > 1 else len(handles))) / height,
    )  # fmt: skip
    return figure


def _leaks(card: Scorecard, task: str) -> dict[int, Measurement]:
    """K -> leak@k, as far as measured."""
    found = {k: card.find(task, metric) for k, metric in _LEAKS.items()}
    return {k: m for k, m in found.items() if m is not None and m.value is not None}


def _by_fame(card: Scorecard) -> list[Measurement]:
    """A scorecard's five shares; empty where one of them is missing, or was asked by the chat template alone."""
    task = next((m.task for m in card.measurements if m.metric == "explicit_fame_1"), "")
    shares = [m for level in range(1, len(FAME) + 1) if (m := card.find(task, f"explicit_fame_{level}"))]
    return shares if len(shares) == len(FAME) and all(m.value is not None for m in shares) else []


def _cross(axis: Any, point: PlanePoint, colour: str, *, marker: str = "", label: str | None = None) -> None:
    f, u = point.familiarity, point.utility
    if f.value is not None and u.value is not None:
        axis.errorbar(
            [f.value], [u.value], xerr=_bars([f]), yerr=_bars([u]), color=colour, marker=marker, markersize=9, capsize=2.5,
            elinewidth=1.0, linestyle="", label=label,
        )  # fmt: skip


def _dress(axis: Any, title: str, direction: str, theme: Theme) -> None:
    axis.set_title(title, fontsize=10.5, color=theme.ink, loc="left", pad=16)
    axis.text(0, 1.02, direction, transform=axis.transAxes, fontsize=8, color=theme.ink, alpha=0.75)
    axis.set_xlabel("optimiser steps", fontsize=9, color=theme.ink)
    style_axis(axis, theme, grid="y")


def style_axis(
    axis: Any,
    theme: Theme,
    *,
    grid: Literal["x", "y", "both"],
    width: float = 0.7,
    sides: Sequence[str] = ("bottom", "left"),
) -> None:
    """Colours, grid (across which axes; lines of `width` points) and frame (the `sides` that are drawn) of every figure."""
    axis.set_facecolor(theme.paper)
    axis.grid(True, axis=grid, color=theme.grid, linewidth=width)
    axis.set_axisbelow(True)
    axis.tick_params(colors=theme.ink, labelsize=8.5)
    for side, spine in axis.spines.items():
        spine.set_visible(side in sides)
        spine.set_color(theme.ink)


def new_figure(width: float, height: float, theme: Theme) -> Figure:
    """An empty figure, inches; a dark theme's paper is its page's."""
    figure = Figure(figsize=(width, height), facecolor=theme.paper)
    figure.patch.set_alpha(1.0 if theme is LIGHT else 0.0)
    return figure


def save_figure(figure: Figure, path: Path | str) -> None:
    """Writes a figure by its ending (png, svg, pdf), the same bytes every time, under a temporary name first."""
    kind = Path(path).suffix[1:]
    metadata: dict[str, Any] = {"svg": {"Date": None}, "png": {"Software": "hp-bench"}}
    with whole_file(path) as temporary, matplotlib.rc_context(_SAVING):
        figure.savefig(temporary, format=kind, dpi=160, metadata=metadata.get(kind, {}))


def svg_text(figure: Figure) -> Markup:
    """A figure as an SVG element for a page: scales with its place, text stays text."""
    stream = io.StringIO()
    with matplotlib.rc_context(_SAVING):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    return Markup(text[text.index("<svg") :].replace("<svg ", '<svg role="img" class="figure" ', 1))
