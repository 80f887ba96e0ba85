"""The figure of what is left: a dot and an interval for each model and number.

What is known of the unlearn target is drawn on the scale that matters, 0 = the twin, 1 = the baseline; what should be kept, as it is.
"""

from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from hp_bench.report.figures import GREY, SERIES, Theme, legend_below, style_axis
from hp_bench.report.panel import PanelRow, PanelSection
from hp_bench.results.scorecard import Measurement

#: What lies farther out than this is drawn at the edge.
_EDGES = (-0.6, 1.6)


def draw_panel(panel: PanelSection, *, theme: Theme, narrow: bool = False) -> Figure | None:
    """Dots with 95 % intervals, one row a number; None where there is nothing to draw. `narrow`: names above their rows, for a phone."""
    known = [row for row in panel.leading_rows if row.how.knowledge]
    to_keep = [row for row in panel.leading_rows if row.metric.startswith("kept_")]
    scaled = [row for row in known if _measured(row.baseline) and _measured(*row.twins)]
    unscaled = [] if scaled else [row for row in known if _is_share(row)]
    parts = [
        ("What is left", "0 = the twin, 1 = the baseline; lower = less left", scaled),
        ("What is known", "as measured; lower = less known", unscaled),
        ("What should be kept", "as measured, 0 to 1; higher = better", to_keep),
    ]
    if not (parts := [part for part in parts if part[2]]):
        return None
    each, head = (0.72, 0.95) if narrow else (0.42, 0.95)
    heights = [head + each * len(rows) for _, _, rows in parts]
    height = sum(heights) + 0.75
    top = height
    left, width = (0.05, 0.92) if narrow else (0.36, 0.61)
    with theme.figure(4.2 if narrow else 10.4, height) as figure:
        for (title, direction, rows), own in zip(parts, heights, strict=True):
            axis = figure.add_axes((left, (top - own + 0.4) / height, width, (own - head) / height))
            _draw_part(axis, panel, rows, rows is scaled, narrow, theme.ink)
            axis.set_title(title)
            below: Any = {"xycoords": "axes fraction", "xytext": (0, 5), "textcoords": "offset points"}
            axis.annotate(direction, (0, 1), fontsize=8, alpha=0.75, **below)
            top -= own
        legend_below(figure, figure.axes, 2 if narrow else 5)
    return figure


def _measured(*measurements: Measurement | None) -> list[Measurement]:
    return [m for m in measurements if m is not None and m.value is not None]


def _is_share(row: PanelRow) -> bool:
    """Whether a number runs from 0 to 1."""
    measured = _measured(row.baseline, *row.models, *row.twins)
    return bool(measured) and all(-0.001 <= (m.value or 0.0) <= 1.001 for m in measured) and "5)" not in row.how.label


def _draw_part(axis: Any, panel: PanelSection, rows: list[PanelRow], scaled: bool, narrow: bool, ink: str) -> None:
    across = blended_transform_factory(axis.transAxes, axis.transData)
    for number, row in enumerate(rows):
        y = -float(number)
        _name(axis, row, y, across, narrow)
        if scaled and row.informative is False:
            middle = {"ha": "center", "va": "center", "transform": across}
            axis.text(
                0.5, y, "cannot tell the baseline from the twin", fontsize=8, alpha=0.75, style="italic", **middle
            )
            continue
        _draw_row(axis, panel, row, y, _scale(row) if scaled else float, ink)
        if not scaled and row.how.chance is not None:
            axis.plot([row.how.chance] * 2, [y - 0.3, y + 0.3], color=ink, linestyle=":", linewidth=1.2, label="chance")
    for x in (0.0, 1.0) if scaled else ():
        axis.axvline(x, color=ink, linewidth=0.8, alpha=0.6, zorder=0)
    axis.set_xlim(*(_EDGES if scaled else (-0.02, 1.02)))
    axis.set_ylim(-len(rows) + (0.45 if not narrow else 0.6), 0.55 if not narrow else 0.75)
    axis.set_yticks([])
    style_axis(axis, grid="x", left=False)


def _name(axis: Any, row: PanelRow, y: float, across: Any, narrow: bool) -> None:
    if narrow:
        axis.text(0, y + 0.3, f"{row.how.label}  ({row.task})", fontsize=8, transform=across, va="bottom")
        return
    beside = {"transform": across, "ha": "right"}
    axis.text(-0.02, y + 0.04, row.how.label, fontsize=8.5, va="bottom", **beside)
    axis.text(-0.02, y - 0.02, row.task, fontsize=7.5, alpha=0.7, va="top", **beside)


def _scale(row: PanelRow) -> Callable[[float], float]:
    """Value -> share of the way from the twins' mean to the baseline, kept within the edges."""
    values = [twin.value or 0.0 for twin in _measured(*row.twins)]
    zero = sum(values) / len(values)
    one = (row.baseline.value or 0.0) if row.baseline is not None else zero
    return lambda value: min(max((value - zero) / (one - zero), _EDGES[0]), _EDGES[1]) if one != zero else 0.0


def _draw_row(
    axis: Any, panel: PanelSection, row: PanelRow, y: float, scale: Callable[[float], float], ink: str
) -> None:
    if twins := _measured(*row.twins):
        low, high = min(t.interval.low for t in twins), max(t.interval.high for t in twins)
        name = "twin" if len(panel.twins) == 1 else "twins"
        axis.fill_betweenx([y - 0.3, y + 0.3], scale(low), scale(high), color=GREY, alpha=0.3, linewidth=0, label=name)
        for twin in twins:
            axis.plot([scale(twin.value or 0.0)], [y], color=GREY, marker="*", markersize=8, linestyle="", label="_")
    if row.baseline is not None:
        _dot(axis, row.baseline, y, scale, ink, "d", "baseline")
    spread = 0.34 / max(1, len(panel.models) - 1) if len(panel.models) > 1 else 0.0
    for number, (column, m) in enumerate(zip(panel.models, row.models, strict=True)):
        colour, marker, _ = SERIES[number % len(SERIES)]
        if m is not None:
            _dot(axis, m, y + 0.17 * (len(panel.models) > 1) - number * spread, scale, colour, marker, column.label)


def _dot(
    axis: Any, m: Measurement, y: float, scale: Callable[[float], float], colour: str, marker: str, label: str
) -> None:
    if m.value is None:
        return
    x, low, high = scale(m.value), scale(m.interval.low), scale(m.interval.high)
    look = {"color": colour, "marker": marker, "linestyle": "", "label": label}
    axis.errorbar([x], [y], xerr=[[max(x - low, 0.0)], [max(high - x, 0.0)]], markersize=5.5, elinewidth=1.1, **look)
