"""The forget-versus-utility plane of a leaderboard: how far each row is from the twins on the target, and on the rest."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from hp_bench.experiments.table import Entry, Leaderboard, Spread
from hp_bench.report.figures import GREY, LIGHT, SERIES, style_axis

_X, _Y = "kl_target", "kl_rest"

#: Beginning of a row's name -> words for the legend; the first that fits. Each has its colour and marker.
_FAMILIES = (("whp_soft", "WHP, soft labels"), ("whp", "WHP, hard labels"), ("", "other methods"))

#: Where a number may stand beside its point, in points of the page: near ones first.
_OFFSETS = tuple(
    (x * far, y * far)
    for far in (9, 15, 22, 30)
    for x, y in ((0, 1), (1, 0), (-1, 0), (0, -1), (0.75, 0.75), (-0.75, 0.75), (0.75, -0.75), (-0.75, -0.75))
)

_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)


def draw_board(board: Leaderboard) -> Figure:
    """Every row a numbered point with its smallest and largest seed, baseline and twins beside them; the best place is the lower left.

    Both axes are linear up to what two twins differ by, logarithmic from there. Rows that failed are named, not drawn.
    """
    points = [(one, x, y) for one in board.entries if (x := one.spread(_X)) and (y := one.spread(_Y))]
    linear = {key: max(board.between.get(key, 0.0), 0.01) for key in (_X, _Y)}
    methods = [one for one in board.entries if not one.reference]
    numbers = {one.name: str(number) for number, one in enumerate(methods, 1)}
    labels = {one.name: numbers.get(one.name, one.label) for one in board.entries}
    with LIGHT.figure(9.6, 6.0) as figure:
        axis = figure.add_axes((0.075, 0.105, 0.545, 0.8))
        axis.set_xscale("symlog", linthresh=linear[_X], linscale=0.6)
        axis.set_yscale("symlog", linthresh=linear[_Y], linscale=0.6)
        _dress(axis, board, linear)
        _limits(axis, points, linear)
        for entry, x, y in points:
            _point(axis, entry, x, y)
        figure.canvas.draw()
        _label(axis, [(labels[one.name], x, y, one.reference) for one, x, y in points])
        _legend(figure, methods, numbers)
    return figure


def _family(entry: Entry) -> int:
    return next(number for number, (start, _) in enumerate(_FAMILIES) if entry.name.startswith(start))


def _point(axis: Any, entry: Entry, x: Spread, y: Spread) -> None:
    colour, marker = (GREY, "*") if entry.reference else SERIES[_family(entry)][:2]
    axis.errorbar(
        [x.mean], [y.mean], xerr=[[x.mean - x.smallest], [x.largest - x.mean]], yerr=[[y.mean - y.smallest], [y.largest - y.mean]],
        color=colour, marker=marker, markersize=10 if entry.reference else 6, elinewidth=0.9, capsize=2, linestyle="", zorder=3,
        markerfacecolor=LIGHT.paper if entry.broken else colour,
    )  # fmt: skip


def _limits(axis: Any, points: Sequence[tuple[Entry, Spread, Spread]], linear: Mapping[str, float]) -> None:
    for key, index, change in ((_X, 1, axis.set_xlim), (_Y, 2, axis.set_ylim)):
        spreads: list[Any] = [one[index] for one in points]
        lowest = min([0.0, *(one.smallest for one in spreads)])
        highest = max([2 * linear[key], *(one.largest for one in spreads)])
        change(lowest - 0.6 * linear[key], highest * 1.5)


def _dress(axis: Any, board: Leaderboard, linear: Mapping[str, float]) -> None:
    for which, key in ((axis.xaxis, _X), (axis.yaxis, _Y)):
        which.set_ticks([0.0, *(tick for tick in _TICKS if tick >= linear[key] * 0.99)])
        which.set_ticks([], minor=True)
        which.set_major_formatter("{x:g}")
    style_axis(axis, grid="both", width=0.6)
    if board.between:
        for draw, key in ((axis.axvspan, _X), (axis.axhspan, _Y)):
            draw(-board.between[key], board.between[key], color=GREY, alpha=0.16, linewidth=0, zorder=0)
    axis.set_xlabel("KL target: distance to the twins on the target, nats a token (better: left)")
    axis.set_ylabel("KL rest: distance on other text, nats a token (better: down)")
    axis.set_title("Forgetting against utility", fontsize=11, pad=18)
    seeds = ", ".join(map(str, board.seeds))
    said = f"mean, smallest and largest of seeds {seeds}" if len(board.seeds) > 1 else f"seed {seeds}"
    band = "; grey: within what two twins differ by" if board.between else ""
    axis.text(0, 1.015, f"0 = as near as another twin{band}; {said}", transform=axis.transAxes, fontsize=8, alpha=0.75)


def _label(axis: Any, points: Sequence[tuple[str, Spread, Spread, bool]]) -> None:
    """Each name where it hides the fewest points and names; with a line to its point where it stands away from it."""
    to_page = axis.figure.dpi / 72
    centres = [axis.transData.transform((x.mean, y.mean)) for _, x, y, _ in points]
    taken = [(x - 5 * to_page, y - 5 * to_page, x + 5 * to_page, y + 5 * to_page) for x, y in centres]
    frame = axis.get_window_extent()
    for (name, x, y, own), (centre_x, centre_y) in zip(points, centres, strict=True):
        width, height = (2.8 + 2.5 * len(name)) * to_page, 4.6 * to_page
        best, least = _OFFSETS[0], float("inf")
        for number, (right, up) in enumerate(_OFFSETS):
            aside = 2.2 * len(name) * (right > 0) - 2.2 * len(name) * (right < 0)
            across, above = centre_x + (right + aside) * to_page, centre_y + up * to_page
            box = (across - width, above - height, across + width, above + height)
            outside = box[0] < frame.x0 or box[2] > frame.x1 or box[1] < frame.y0 or box[3] > frame.y1
            cost = sum(_overlap(box, other) for other in taken) + 1e6 * outside + 0.5 * number
            if cost < least:
                best, least, chosen = (across, above), cost, box
        taken.append(chosen)
        axis.annotate(
            name, (x.mean, y.mean), xytext=((best[0] - centre_x) / to_page, (best[1] - centre_y) / to_page), textcoords="offset points",
            ha="center", va="center", fontsize=8.5, style="italic" if own else "normal", zorder=5,
            arrowprops={"arrowstyle": "-", "color": LIGHT.ink, "linewidth": 0.5, "alpha": 0.6, "shrinkA": 5, "shrinkB": 3},
        )  # fmt: skip


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _legend(figure: Any, methods: Sequence[Entry], numbers: Mapping[str, str]) -> None:
    top, step = 0.865, min(0.042, 0.68 / max(len(methods), 1))
    for line, entry in enumerate(methods):
        y = top - line * step
        mark = "  (failed, not drawn)" if entry.failure else "  (hollow: broken)" if entry.broken else ""
        _sign(figure, y, _family(entry), hollow=bool(entry.broken))
        figure.text(0.687, y, numbers[entry.name], fontsize=8.5, ha="right", va="center")
        figure.text(0.696, y, entry.name + mark, fontsize=8.5, va="center")
    shown = [number for number in range(len(_FAMILIES)) if any(_family(one) == number for one in methods)]
    figure.text(0.645, 0.165, "numbers: the table's order", fontsize=8, alpha=0.75, va="center")
    for line, number in enumerate(shown):
        y = 0.132 - line * 0.033
        _sign(figure, y, number)
        figure.text(0.675, y, _FAMILIES[number][1], fontsize=8, alpha=0.75, va="center")


def _sign(figure: Any, y: float, family: int, *, hollow: bool = False) -> None:
    colour, marker = SERIES[family][:2]
    axis = figure.add_axes((0.645, y - 0.01, 0.016, 0.02))
    axis.set_axis_off()
    inside = LIGHT.paper if hollow else colour
    axis.plot([0], [0], marker=marker, color=colour, markersize=5.5, markerfacecolor=inside, clip_on=False)
