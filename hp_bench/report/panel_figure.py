"""The figure of what is left: a dot and an interval for each model and number.

What is known of the unlearn target is drawn on the scale that matters, 0 = the twin, 1 = the baseline; what should be kept, as it is.
"""

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.figure import Figure

from hp_bench.report.figures import SERIES, Theme
from hp_bench.report.panel import Left, LeftRow
from hp_bench.results.scorecard import Measurement

_GREY = "#8A8A8A"

#: What lies farther out than this is drawn at the edge.
_EDGES = (-0.6, 1.6)


def draw_left(left: Left, *, theme: Theme, narrow: bool = False) -> Figure | None:
    """Dots with 95 % intervals, one row a number; None where there is nothing to draw.

    Args:
        left: the section's numbers.
        theme: light or dark.
        narrow: for a phone: names above their rows rather than beside them.
    """
    known = [row for row in left.drawn if row.knowledge]
    kept = [row for row in left.drawn if row.metric.startswith("kept_")]
    shared = [row for row in known if _has(row.baseline) and any(map(_has, row.twins))]
    parts: list[tuple[str, str, list[LeftRow], bool]] = []
    if shared:
        parts.append(("What is left", "0 = the twin, 1 = the baseline; lower = less left", shared, True))
    elif known:
        parts.append(("What is known", "as measured; lower = less known", [r for r in known if _plain(r)], False))
    if kept:
        parts.append(("What should be kept", "as measured, 0 to 1; higher = better", kept, False))
    parts = [part for part in parts if part[2]]
    if not parts:
        return None
    each, head = (0.72, 0.95) if narrow else (0.42, 0.95)
    heights = [head + each * len(rows) for _, _, rows, _ in parts]
    height = sum(heights) + 0.75
    figure = Figure(figsize=(4.2 if narrow else 10.4, height), facecolor=theme.paper)
    figure.patch.set_alpha(1.0 if theme.paper == "#ffffff" else 0.0)
    top = height
    for (title, direction, rows, scaled), own in zip(parts, heights, strict=True):
        place = (0.05, (top - own + 0.4) / height, 0.92, (own - head) / height)
        if not narrow:
            place = (0.36, place[1], 0.61, place[3])
        axis = figure.add_axes(place)
        _draw_part(axis, left, rows, scaled, theme, narrow)
        axis.set_title(title, fontsize=10.5, color=theme.ink, loc="left", pad=16)
        axis.annotate(
            direction, (0, 1), xycoords="axes fraction", xytext=(0, 5), textcoords="offset points", fontsize=8, color=theme.ink,
            alpha=0.75,
        )  # fmt: skip
        top -= own
    labels = {
        label: handle for axis in figure.axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        list(labels.values()), list(labels), loc="lower center", ncols=2 if narrow else min(5, len(labels)), frameon=False, fontsize=9,
        labelcolor=theme.ink,
    )  # fmt: skip
    return figure


def _has(measurement: Measurement | None) -> bool:
    return measurement is not None and measurement.value is not None


def _plain(row: LeftRow) -> bool:
    """Whether a number runs from 0 to 1."""
    found = [m for m in (row.baseline, *row.models, *row.twins) if m is not None and m.value is not None]
    return bool(found) and all(-0.001 <= (m.value or 0.0) <= 1.001 for m in found) and "5)" not in row.label


def _draw_part(axis: Any, left: Left, rows: Sequence[LeftRow], scaled: bool, theme: Theme, narrow: bool) -> None:
    from matplotlib.transforms import blended_transform_factory

    across = blended_transform_factory(axis.transAxes, axis.transData)
    for number, row in enumerate(rows):
        y = -float(number)
        _name(axis, row, y, across, theme, narrow)
        if scaled and row.tells is False:
            axis.text(
                0.5, y, "cannot tell the baseline from the twin", fontsize=8, color=theme.ink, alpha=0.75, ha="center", va="center",
                transform=across, style="italic",
            )  # fmt: skip
            continue
        scale = _scale(row) if scaled else float
        _draw_row(axis, left, row, y, scale, theme)
        if not scaled and row.guessed is not None:
            axis.plot(
                [row.guessed] * 2, [y - 0.3, y + 0.3], color=theme.ink, linestyle=":", linewidth=1.2, label="chance"
            )
    for x in (0.0, 1.0) if scaled else ():
        axis.axvline(x, color=theme.ink, linewidth=0.8, alpha=0.6, zorder=0)
    axis.set_xlim(*(_EDGES if scaled else (-0.02, 1.02)))
    axis.set_ylim(-len(rows) + (0.45 if not narrow else 0.6), 0.55 if not narrow else 0.75)
    axis.set_facecolor(theme.paper)
    axis.grid(True, axis="x", color=theme.grid, linewidth=0.7)
    axis.set_axisbelow(True)
    axis.set_yticks([])
    axis.tick_params(colors=theme.ink, labelsize=8.5)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(theme.ink)


def _name(axis: Any, row: LeftRow, y: float, across: Any, theme: Theme, narrow: bool) -> None:
    if narrow:
        axis.text(0, y + 0.3, f"{row.label}  ({row.task})", fontsize=8, color=theme.ink, transform=across, va="bottom")
        return
    axis.text(-0.02, y + 0.04, row.label, fontsize=8.5, color=theme.ink, transform=across, ha="right", va="bottom")
    axis.text(
        -0.02, y - 0.02, row.task, fontsize=7.5, color=theme.ink, alpha=0.7, transform=across, ha="right", va="top"
    )


def _scale(row: LeftRow) -> Callable[[float], float]:
    """Value -> share of the way from the twins' mean to the baseline, kept within the edges."""
    values = [twin.value for twin in row.twins if twin is not None and twin.value is not None]
    zero = sum(values) / len(values)
    one = (row.baseline.value or 0.0) if row.baseline is not None else zero
    return lambda value: min(max((value - zero) / (one - zero), _EDGES[0]), _EDGES[1]) if one != zero else 0.0


def _draw_row(axis: Any, left: Left, row: LeftRow, y: float, scale: Callable[[float], float], theme: Theme) -> None:
    twins = [twin for twin in row.twins if twin is not None and twin.value is not None]
    if twins:
        low, high = min(t.interval.low for t in twins), max(t.interval.high for t in twins)
        name = "twin" if len(left.twins) == 1 else "twins"
        axis.fill_betweenx([y - 0.3, y + 0.3], scale(low), scale(high), color=_GREY, alpha=0.3, linewidth=0, label=name)
        for twin in twins:
            axis.plot([scale(twin.value or 0.0)], [y], color=_GREY, marker="*", markersize=8, linestyle="", label="_")
    if row.baseline is not None:
        _dot(axis, row.baseline, y, scale, theme.ink, "d", "baseline")
    spread = 0.34 / max(1, len(left.models) - 1) if len(left.models) > 1 else 0.0
    for number, (column, m) in enumerate(zip(left.models, row.models, strict=True)):
        colour, marker, _ = SERIES[number % len(SERIES)]
        if m is not None:
            _dot(axis, m, y + 0.17 * (len(left.models) > 1) - number * spread, scale, colour, marker, column.label)


def _dot(
    axis: Any, m: Measurement, y: float, scale: Callable[[float], float], colour: str, marker: str, label: str
) -> None:
    if m.value is None:
        return
    x, low, high = scale(m.value), scale(m.interval.low), scale(m.interval.high)
    axis.errorbar(
        [x], [y], xerr=[[max(x - low, 0.0)], [max(high - x, 0.0)]], color=colour, marker=marker, markersize=5.5, capsize=2.5,
        elinewidth=1.1, linestyle="", label=label,
    )  # fmt: skip
