"""What hidden states still hold, layer by layer: a table and a curve."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from pydantic import TypeAdapter
from rich.text import Text

from hp_bench.report.figures import GREY, LIGHT, SERIES, Theme, head, legend_below, style_axis
from hp_bench.report.tables import table
from hp_bench.stress.patching import LEAST, Inspection, Recovered


def read_layers(path: Path) -> tuple[list[Inspection], str]:
    """What `hp-bench inspect` wrote, and the twin's name. Raises ValueError: the file is no such result."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return TypeAdapter(list[Inspection]).validate_python(content["models"]), str(content["twin"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{str(path)!r} is not the result of hp-bench inspect: {error}") from None


def print_layers(found: Sequence[Inspection], twin: str) -> Iterator[str | Text]:
    """A sentence a model, then a table a model."""
    for one in found:
        own = _share(one.layers[0].recovered)
        yield f"{one.name}: its hidden states give back {_share(one.recovered)} of what {twin}'s lack; its own answers {own}."
    n, left_out = len(found[0].facts), found[0].left_out
    yield f"0: as {twin}; 1: as the baseline. {n} facts; {left_out} left out, which the baseline knows no better than {twin}.\n"
    for one in found:
        rows = []
        for layer in one.layers:
            states = f"after layer {layer.layer}" if layer.layer else "own answers"
            costs = f"{layer.twin_cost:.2f}", f"{layer.cost:.2f}"
            rows.append((states, *costs, str(layer.recovered.n), _share(layer.recovered)))
        yield table(("states", twin, "model", "facts", "recovered"), {"": rows}, title=one.name)
    yield (
        f"Nats of the answers' margin over the distractors that the states of {twin} and of the model cost; recovered over the facts where "
        f"{twin}'s cost {LEAST:g} or more; 95 % intervals in brackets."
    )


def _share(share: Recovered) -> str:
    return "none" if share.value is None else f"{share.value:.2f} [{share.low:.2f}, {share.high:.2f}]"


def draw_layers(found: Sequence[Inspection], twin: str, *, theme: Theme = LIGHT, narrow: bool = False) -> Figure:
    """What each model's states give back, with 95 % intervals, and what they cost the answers, by layer; own answers as a last mark."""
    twins = [layer.twin_cost for layer in found[0].layers]
    numbers = range(1, len(twins))
    end = len(numbers) + max(1.5, len(numbers) / 12)
    with theme.figure(*((4.4, 8) if narrow else (10.4, 4.3))) as figure:
        shares, costs = figure.subplots(*((2, 1) if narrow else (1, 2)))
        costs.plot(numbers, twins[1:], color=GREY, linewidth=1.6, label=twin)
        costs.plot([end], twins[:1], color=GREY, marker="*", markersize=9)
        for place, one in enumerate(found):
            colour, marker, line = SERIES[place % len(SERIES)]
            columns = [(r.value, r.low, r.high) for r in (layer.recovered for layer in one.layers)]
            value, low, high = np.array(columns, dtype=float).T
            shares.fill_between(numbers, low[1:], high[1:], color=colour, alpha=0.18, linewidth=0)
            shares.plot(numbers, value[1:], color=colour, linestyle=line, linewidth=1.6)
            own = [value[:1] - low[:1], high[:1] - value[:1]]
            shares.errorbar([end + 0.4 * place], value[:1], yerr=own, color=colour, marker=marker, elinewidth=1.0)
            lost = [layer.cost for layer in one.layers]
            costs.plot(numbers, lost[1:], color=colour, linestyle=line, linewidth=1.6, label=one.name)
            costs.plot([end], lost[:1], color=colour, marker=marker)
        head(shares, "What the states give back", f"0: as {twin}; 1: as the baseline; on the right: own answers")
        unit = "nats of the margin, mean over facts; lower = nearer to the baseline"
        head(costs, "What the states cost the answers", unit)
        for axis in (shares, costs):
            style_axis(axis, grid="y")
            axis.set_xlabel("layer after which the states are put into the baseline")
            axis.axvline((len(numbers) + end) / 2, color=theme.grid, linewidth=0.7)
        shares.set_ylim(-0.03, 1.03)
        costs.set_ylim(bottom=min(0, costs.get_ylim()[0]))
        legend_below(figure, [costs], 2 if narrow else 4)
        edges = {"left": 0.1, "top": 0.94, "bottom": 0.15} if narrow else {"left": 0.06, "top": 0.86, "bottom": 0.23}
        figure.subplots_adjust(**edges, right=0.98, wspace=0.16, hspace=0.42)
    return figure
