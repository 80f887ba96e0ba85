"""A book as a strip, model under model: each place shaded by p_z, the probability that the model goes on with the text word by word."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from rich.text import Text

from hp_bench.report.figures import LIGHT, Theme
from hp_bench.results.scorecard import Scorecard

TASK, METRIC = "hp_verbatim", "verbatim_probability"

#: p_z at which a shade begins. Grey: no number of samples that anyone draws shows the text there.
_EDGES = (1e-30, 1e-15, 0.001, 0.01, 0.1, 0.5)
_NAMES = ("below 1e-30", "1e-30", "1e-15", ".001", ".01", ".1", ".5 and more")
_LIGHT = ("#f1f1f1", "#dadada", "#bdbdbd", "#9ecae1", "#4292c6", "#08519c", "#021d3d")
_DARK = ("#24272c", "#383c43", "#565b64", "#1d4f80", "#3b86c8", "#8cc4ee", "#eaf5ff")

_SIGNS = "   \u2591\u2592\u2593\u2588"

#: Most cells across; more windows than these share a cell, which shows the highest.
_CELLS = 600

#: Of p_z, for the longest run.
RUNS_ABOVE = 0.1


@dataclass(frozen=True)
class Strip:
    """One model on a book.

    Attributes:
        name: of the model.
        offsets: where the windows begin, in characters.
        values: p_z of each; None: unscored.
    """

    name: str
    offsets: tuple[int, ...]
    values: tuple[float | None, ...]

    def longest_run(self, above: float = RUNS_ABOVE) -> int:
        """Characters of the longest stretch of windows whose p_z is above a threshold, from the first to the one after the last."""
        step = self.offsets[-1] - self.offsets[-2] if len(self.offsets) > 1 else 0
        ends = [*self.offsets[1:], self.offsets[-1] + step]
        longest, begun = 0, None
        for start, end, p in zip(self.offsets, ends, self.values, strict=True):
            begun = (start if begun is None else begun) if p is not None and p > above else None
            longest = max(longest, end - begun if begun is not None else 0)
        return longest

    def cells(self, most: int) -> list[int]:
        """The shade of each place, 0 to 6, -1 where nothing was scored; the highest of each of at most `most` cells."""
        shades = [-1 if p is None else bisect_right(_EDGES, p) for p in self.values]
        return [max(map(int, part)) for part in np.array_split(shades, min(most, len(shades)))]


def strips_of(models: Sequence[tuple[str, Scorecard]]) -> list[Strip]:
    """The strips of models, by name and scorecard, that were asked a book and of which something was scored."""
    strips = []
    for name, card in models:
        values = card.values.get(TASK, {}).get(METRIC, ())
        if any(value is not None for value in values):
            offsets = tuple(int(item.removeprefix("offset-")) for item in card.items[TASK])
            strips.append(Strip(name, offsets, tuple(values)))
    return strips


def print_strips(strips: Sequence[Strip], *, width: int = 76) -> Text:
    """The strips for a terminal, with the longest run of each; `?` where nothing was scored. Empty where there is none."""
    lines = []
    for strip in strips:
        signs = "".join("?" if shade < 0 else _SIGNS[shade] for shade in strip.cells(width))
        lines += [f"{strip.name}, longest run above {RUNS_ABOVE:g}: {strip.longest_run():,} characters", f"|{signs}|"]
    legend = "the text, first to last; p_z from .001 \u2591, .01 \u2592, .1 \u2593, .5 \u2588"
    return Text("\n".join([*lines, legend] if lines else []))


def draw_strips(strips: Sequence[Strip], *, theme: Theme = LIGHT, narrow: bool = False) -> Figure | None:
    """The strips under each other, from the first page to the last; None where there is none. `narrow`: for a phone."""
    if not strips:
        return None
    height, width = 0.62 * len(strips) + (1.3 if narrow else 1.1), 4.2 if narrow else 10.4
    shades = _LIGHT if theme is LIGHT else _DARK
    colours = ListedColormap(shades).with_extremes(under=theme.paper)
    norm = BoundaryNorm(np.arange(-0.5, len(shades)), len(shades))
    with theme.figure(width, height) as figure:
        for number, strip in enumerate(strips):
            axis = figure.add_axes((0.02, (height - 0.95 - 0.62 * number) / height, 0.96, 0.3 / height))
            cells = np.array([strip.cells(_CELLS // (2 if narrow else 1))])
            axis.imshow(cells, cmap=colours, norm=norm, aspect="auto", interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.set_title(strip.name, fontsize=9, pad=3)
        figure.text(0.02, 1 - 0.22 / height, "The text, first to last", fontsize=10.5)
        patches = [Patch(facecolor=shade, edgecolor=theme.ink, linewidth=0.5) for shade in shades]
        figure.legend(
            patches, _NAMES, loc="lower left", bbox_to_anchor=(0.01, 0), ncols=4 if narrow else len(shades), fontsize=8,
            title="p_z from", title_fontsize=8, alignment="left", handlelength=1.4, columnspacing=1.2,
        )  # fmt: skip
    return figure
