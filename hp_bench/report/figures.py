"""Curves -> figures. Colours and markers can be told apart by colour-blind readers and in print; every number has its interval."""

import hashlib
import io
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from hp_bench.results.curve import Curve
from hp_bench.results.metrics import METRICS
from hp_bench.results.scorecard import Measurement, Scorecard
from unlearn.files import packaged, whole_file

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
    """Ink and paper, and how every figure looks that is drawn with them."""

    ink: str
    paper: str
    grid: str

    @contextmanager
    def figure(self, width: float, height: float) -> Iterator[Figure]:
        """An empty figure, inches, with matplotlib set to the theme while it is drawn; a dark theme's paper is its page's."""
        style: Any = {
            **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "legend.labelcolor"), self.ink),
            "grid.color": self.grid, "figure.facecolor": self.paper, "axes.axisbelow": True, "axes.titlesize": 10.5, "axes.titlepad": 16,
            "axes.titlelocation": "left", "axes.labelsize": 9, "legend.frameon": False, "legend.fontsize": 9, "lines.markersize": 5,
            "errorbar.capsize": 2.5,
        }  # fmt: skip
        with matplotlib.rc_context(style):
            figure = Figure(figsize=(width, height))
            figure.patch.set_alpha(1.0 if self is LIGHT else 0.0)
            yield figure


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
    curves: Sequence[Curve], twins: Sequence[Scorecard] = (), *, theme: Theme = LIGHT, narrow: bool = False
) -> Figure | None:
    """Both familiarities and utility against optimiser steps, with 95 % intervals, and the paper's Figure 5 in a panel of its own, if its
    books were asked about.

    Args:
        curves: one per method; the same tasks in all of them. None: nothing is drawn.
        twins: models that never read the unlearn target; drawn as a band from the lowest to the highest end of their intervals.
        theme: light or dark.
        narrow: one panel under the other, for a phone.
    """
    if not curves:
        return None
    panels = panels_of([*(point for curve in curves for point in curve.points), *twins])
    count = len(panels) + bool(paper_beside(curves))
    columns = 1 if narrow else min(2, count)
    height = 3.6 * -(-count // columns) + 0.5
    with theme.figure(5.2 * columns, height) as figure:
        axes = _grid(figure, count, columns)
        for axis, panel in zip(axes, panels, strict=False):
            _draw_panel(axis, panel, curves, twins)
        if count > len(panels):
            _draw_paper(axes[-1])
        legend_below(figure, axes[:1], 2 if narrow else 4)
        figure.subplots_adjust(
            left=0.18 / columns, right=0.975, top=1 - 0.54 / height, bottom=1.1 / height, hspace=0.42, wspace=0.26
        )
    return figure


def paper_beside(curves: Sequence[Curve]) -> dict[str, Any] | None:
    """The paper's figures, where our prompts about its books were asked; None for those about another text, and for the miniature's."""
    folder = packaged(Path(__file__).parents[1], "prompts/familiarity.jsonl").parent
    files = [*folder.glob("familiarity*.jsonl"), folder / "token_probability.jsonl"]
    ours = {hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    tasks = (task for curve in curves for card in curve.points for task in card.manifest.tasks.values())
    return PAPER if any(task.prompts_sha256 in ours for task in tasks) else None


def _grid(figure: Figure, count: int, columns: int) -> list[Any]:
    """So many panels, row by row."""
    axes = figure.subplots(-(-count // columns), columns, squeeze=False).flatten()
    for axis in axes[count:]:
        axis.set_visible(False)
    return list(axes[:count])


def _draw_panel(axis: Any, panel: Panel, curves: Sequence[Curve], twins: Sequence[Scorecard]) -> None:
    highest = [0.0]
    for number, curve in enumerate(curves):
        points = curve.series(panel.task, panel.metric)
        aside = (number - (len(curves) - 1) / 2) * 1.2
        measured = [m for _, m in points]
        x = [step + aside if step else step for step, _ in points]
        _errorbar(axis, x, measured, series(number, curve.name), 1.6)
        highest += [m.interval.high for m in measured]
    own = [m for t in twins if (m := t.find(panel.task, panel.metric)) and m.value is not None]
    if own:
        low, high = min(m.interval.low for m in own), max(m.interval.high for m in own)
        name = "twin (never read the target)" if len(twins) == 1 else f"{len(twins)} twins (never read the target)"
        axis.axhspan(low, high, color=GREY, alpha=0.28, linewidth=0, label=f"{name}, 95 % interval")
        highest.append(high)
    _dress(axis, panel.title, panel.direction)
    taken = sorted({point.step for curve in curves for point in curve.points if point.step is not None})
    if 1 < len(taken) <= 9:
        axis.set_xticks(taken)
    top = max(highest)
    axis.set_ylim(*((0, 1) if METRICS[panel.metric].higher_is_better else (-0.02 * top, top * 1.06 or 1)))


def _draw_paper(axis: Any) -> None:
    tasks, ink = PAPER["accuracy"].values(), matplotlib.rcParams["text.color"]
    accuracy = [sum(values) / len(tasks) for values in zip(*tasks, strict=True)]
    for values, colour, how, label in (
        (PAPER["completion"], ink, "o-", "familiarity, completion"),
        (PAPER["probability"], ink, "s--", "familiarity, probability"),
        (accuracy, GREY, "^:", f"accuracy, mean of {len(tasks)} tasks"),
    ):
        axis.plot(PAPER["steps"], values, how, color=colour, markersize=3.5, linewidth=1.2, label=label)
    _dress(axis, f"For comparison: the paper's {PAPER['model']}", "another model, another judge, other prompts")
    axis.set_ylim(0, 1)
    axis.legend(fontsize=7.5, loc="center right", title=PAPER["source"], title_fontsize=7.5)
    axis.set_facecolor((0.5, 0.5, 0.5, 0.08))


def draw_plane(
    curves: Mapping[str, Sequence[Scorecard]], twins: Sequence[Scorecard] = (), *, theme: Theme = LIGHT
) -> Figure | None:
    """Utility against familiarity, each method's way through the plane from the baseline on; the best place is the twins'.

    `curves`: method -> its models, the baseline first. None where a familiarity or a utility was not measured.
    """
    tasks = {panel.metric: panel.task for panel in panels_of([card for cards in curves.values() for card in cards])}
    if not {"familiarity", "acc"} <= set(tasks):
        return None

    def numbers(cards: Sequence[Scorecard]) -> list[tuple[int | None, Measurement, Measurement]]:
        """Step, familiarity and utility of the models that have both."""
        both = (
            (card, card.find(tasks["familiarity"], "familiarity"), card.find(tasks["acc"], "acc")) for card in cards
        )
        return [(card.step, f, u) for card, f, u in both if f and u and f.value is not None and u.value is not None]

    lines = {name: points for name, cards in curves.items() if (points := numbers(cards))}
    grey = numbers(twins)
    if not lines:
        return None
    with theme.figure(5.6, 4.9) as figure:
        axis: Any = figure.subplots()
        for number, (name, points) in enumerate(lines.items()):
            way = [f.value for _, f, _ in points], [u.value for _, _, u in points]
            axis.plot(*way, **series(number, name), linewidth=1.3)
            _cross(axis, *points[-1][1:], color=SERIES[number % len(SERIES)][0])
            if len(points) > 1:
                if not number:  # the baseline, where all methods begin
                    _annotate(axis, *points[0], xytext=(-6, 9), ha="right")
                _annotate(axis, *points[-1], xytext=(7, 7 - 20 * number), ha="left")
        for index, (_, f, u) in enumerate(grey):
            _cross(axis, f, u, color=GREY, marker="*", label=None if index else "twins")
        _dress(axis, "Forgetting against utility", "the utility axis does not begin at 0")
        axis.set_xlabel("completion-based familiarity (lower = less familiar)")
        axis.set_ylabel("utility (higher = better)")
        utilities = [u.interval for points in (*lines.values(), grey) for _, _, u in points]
        axis.set_ylim(max(0, min(u.low for u in utilities) - 0.1), min(1, max(u.high for u in utilities) + 0.05))
        axis.legend(fontsize=8.5, loc="lower right")
        figure.subplots_adjust(left=0.12, right=0.97, top=0.92, bottom=0.13)
    return figure


def _cross(axis: Any, familiarity: Measurement, utility: Measurement, **look: Any) -> None:
    axis.errorbar(
        [familiarity.value], [utility.value], xerr=_bars([familiarity]), yerr=_bars([utility]), markersize=9, elinewidth=1.0,
        **{"marker": "", "linestyle": "", **look},
    )  # fmt: skip


def _annotate(axis: Any, step: int | None, familiarity: Measurement, utility: Measurement, **where: Any) -> None:
    name = "baseline" if step == 0 else f"step {step}"
    axis.annotate(name, (familiarity.value, utility.value), textcoords="offset points", fontsize=8, **where)


#: Who knows what is asked at each level of fame.
FAME = ("everybody", "film viewers", "fans", "attentive readers", "readers alone")


def draw_fame(models: Sequence[Scorecard], twins: Sequence[Scorecard] = (), *, theme: Theme = LIGHT) -> Figure | None:
    """Explicit completions by the fame of what is asked, with 95 % intervals: what is forgotten first, and what survives.

    `models`: the baseline first. None where a prompt's fame is not known.
    """
    lines, grey = ([(card.name, shares) for card in cards if (shares := _by_fame(card))] for cards in (models, twins))
    if not lines:
        return None
    places = range(1, len(FAME) + 1)
    with theme.figure(5.6, 4.2) as figure:
        axis = figure.subplots()
        for number, (name, shares) in enumerate([*lines, *grey]):
            aside = 0.06 * (number - (len(lines) + len(grey) - 1) / 2)
            look = series(number, name, twin=number >= len(lines))
            _errorbar(axis, [place + aside for place in places], shares, look, 1.4)
        _dress(axis, "Explicit completions by fame", "lower = less familiar; 95 % intervals")
        axis.set_xlabel("who knows the answer (fame of the prompt)")
        labels = [f"{place}\n{who}" for place, who in zip(places, FAME, strict=True)]
        axis.set_xticks(list(places), labels, fontsize=7.5)
        axis.set_ylim(-0.02, 1)
        axis.legend(fontsize=8.5, loc="upper center", bbox_to_anchor=(0.5, -0.19), ncols=2)
        figure.subplots_adjust(left=0.1, right=0.95, top=0.91, bottom=0.3)
    return figure


def _by_fame(card: Scorecard) -> list[Measurement]:
    """A scorecard's five shares; empty where one of them is missing, or was asked by the chat template alone."""
    task = next((m.task for m in card.measurements if m.metric == "explicit_fame_1"), "")
    shares = [m for level in range(1, len(FAME) + 1) if (m := card.find(task, f"explicit_fame_{level}"))]
    return shares if len(shares) == len(FAME) and all(m.value is not None for m in shares) else []


#: Task of samples -> title, and the end of the task's name and the number of greedy answers to the same prompts.
_SAMPLED = {
    "hp_familiarity_leak": ("An explicit completion among k samples", "_familiarity", "explicit"),
    "hp_qa_leak": ("The answer to a fact among k samples", "_qa", "cloze_exact"),
}

#: leak@k by k.
_LEAKS = {1: "leak_1", 2: "leak_2", 4: "leak_4", 8: "leak_8", 16: "leak"}


def draw_leaks(
    models: Mapping[str, Scorecard], twins: Collection[str] = (), *, theme: Theme = LIGHT, narrow: bool = False
) -> Figure | None:
    """leak@k against k, with 95 % intervals over prompts, and what greedy decoding says on the left; None where nothing was sampled.

    Args:
        models: name -> scorecard, the baseline first, the twins last.
        twins: names of the models that never read the target.
        theme: light or dark.
        narrow: one panel under the other, for a phone.
    """
    asked = [task for task in _SAMPLED if any(len(_leaks(card, task)) > 1 for card in models.values())]
    if not asked:
        return None
    columns = 1 if narrow else 2
    height = 3.4 * -(-len(asked) // columns) + 0.7
    with theme.figure(5.2 * columns, height) as figure:
        axes = _grid(figure, len(asked), columns)
        for axis, task in zip(axes, asked, strict=True):
            _draw_leaks(axis, task, {name: card for name, card in models.items() if _leaks(card, task)}, twins)
        count = legend_below(figure, axes, 1 if narrow else 3)
        figure.subplots_adjust(
            left=0.2 / (columns + 0.6), right=0.975, top=1 - 0.54 / height, hspace=0.5, wspace=0.2,
            bottom=(0.6 + 0.2 * (count if narrow else -(-count // 3))) / height,
        )  # fmt: skip
    return figure


def _draw_leaks(axis: Any, task: str, models: Mapping[str, Scorecard], twins: Collection[str]) -> None:
    title, end, metric = _SAMPLED[task]
    for number, (name, card) in enumerate(models.items()):
        look = series(number, name, twin=name in twins)
        nudge = 1.04 ** (number - (len(models) - 1) / 2)
        points = _leaks(card, task)
        _errorbar(axis, [k * nudge for k in points], [*points.values()], look, 1.4)
        greedy = [m for m in card.measurements if m.metric == metric and m.task.endswith(end) and m.value is not None]
        _errorbar(axis, [0.5 * nudge] * len(greedy), greedy, {**look, "linestyle": "", "label": None})
    _dress(axis, title, "lower = less known; 95 % intervals")
    axis.set_xlabel("k, samples of a prompt")
    axis.set_xscale("log", base=2)
    axis.set_xticks([0.5, *_LEAKS], ["greedy", *map(str, _LEAKS)])
    axis.minorticks_off()
    axis.set_xlim(0.4, 20)
    axis.set_ylim(-0.02, 1.02)


def _leaks(card: Scorecard, task: str) -> dict[int, Measurement]:
    """K -> leak@k, as far as measured."""
    found = {k: card.find(task, metric) for k, metric in _LEAKS.items()}
    return {k: m for k, m in found.items() if m is not None and m.value is not None}


def series(number: int, name: str, *, twin: bool = False) -> dict[str, Any]:
    """Label, colour, marker and line of the model of that number, or of a twin."""
    colour, marker, line = (GREY, "*", ":") if twin else SERIES[number % len(SERIES)]
    label = f"{name} (never read the target)" if twin else name
    return {"label": label, "color": colour, "marker": marker, "linestyle": line}


def _errorbar(
    axis: Any, x: Sequence[float], measured: Sequence[Measurement], look: Mapping[str, Any], width: float | None = None
) -> None:
    """Numbers with their 95 % intervals."""
    values = [m.value or 0.0 for m in measured]
    axis.errorbar(x, values, yerr=_bars(measured), elinewidth=1.0, linewidth=width, **look)


def _bars(measurements: Sequence[Measurement]) -> list[list[float]]:
    """How far the 95 % intervals reach below the values, and how far above, as `errorbar` takes it."""
    values = [(m.value or 0.0, m.interval) for m in measurements]
    return [[value - i.low for value, i in values], [i.high - value for value, i in values]]


def _dress(axis: Any, title: str, direction: str) -> None:
    head(axis, title, direction)
    axis.set_xlabel("optimiser steps")
    style_axis(axis, grid="y")


def head(axis: Any, title: str, direction: str) -> None:
    """What stands above a panel: its title, and how it is to be read."""
    axis.set_title(title)
    axis.text(0, 1.02, direction, transform=axis.transAxes, fontsize=8, alpha=0.75)


def style_axis(axis: Any, *, grid: Literal["x", "y", "both"], width: float = 0.7, left: bool = True) -> None:
    """Ground, grid (across which axes; lines of `width` points) and frame (below, and on the left) of every figure."""
    theme = matplotlib.rcParams
    axis.set_facecolor(theme["figure.facecolor"])
    axis.grid(True, axis=grid, color=theme["grid.color"], linewidth=width)
    axis.tick_params(colors=theme["text.color"], labelsize=8.5)
    axis.spines[["top", "right"] if left else ["top", "right", "left"]].set_visible(False)


def legend_below(figure: Figure, axes: Iterable[Any], columns: int) -> int:
    """A legend under all panels, each label of some of them once; returns how many there are."""
    handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend([*handles.values()], [*handles], loc="lower center", ncols=columns)
    return len(handles)


def save_figures(figures: Mapping[str, Figure | None], folder: Path) -> list[Path]:
    """Writes NAME.png and NAME.svg of every figure that there is."""
    written = {
        folder / f"{name}.{kind}": figure for name, figure in figures.items() if figure for kind in ("png", "svg")
    }
    for path, figure in written.items():
        save_figure(figure, path)
    return list(written)


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
