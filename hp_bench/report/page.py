"""Puts a report's sections into its template."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import groupby, islice

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from hp_bench import __version__
from hp_bench.report import sections
from hp_bench.report.figures import DARK, LIGHT, draw_curve, draw_fame, draw_leaks, draw_plane, paper_beside, svg_text
from hp_bench.report.layers import draw_layers, print_layers
from hp_bench.report.panel import PanelSection, panel_section
from hp_bench.report.panel_figure import draw_panel
from hp_bench.report.story import Story
from hp_bench.report.strip import RUNS_ABOVE, TASK, draw_strips, strips_of
from hp_bench.report.tables import describe_difference, describe_p
from hp_bench.results.metrics import METRICS, known
from hp_bench.results.scorecard import Scorecard
from hp_bench.scoring.score import describe

#: Prompts shown openly; the others are one click away.
SHOWN = 8

#: Figures that fit a phone as they are.
_SMALL = ("fame", "plane")


def render(story: Story) -> str:
    """The page as HTML; the same story, the same bytes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hp_bench.report", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    panel = panel_section(story)
    rows = groupby(
        sections.table(story), lambda row: row.method + (f", step {row.step}" if row.step is not None else "")
    )
    tables = [(name, list(of_model)) for name, of_model in rows]
    return environment.get_template("page.html.j2").render(
        story=story, headline=sections.headline(story), tables=tables, panel=panel, book=_book(panel),
        figures={name: _both_themes(draw, small=name in _SMALL) for name, draw in drawings(story, panel).items()},
        runs={strip.name: strip.longest_run() for strip in strips_of(panel.named)}, above=RUNS_ABOVE,
        inspected=list(islice(print_layers(*story.inspected), len(story.inspected[0]) + 1)) if story.inspected else [],
        change=describe_difference, describe=describe, p_value=describe_p,
        metrics=METRICS,
        methods=[
            {"name": method.name, "exchanges": sections.exchanges(story, method), "slices": sections.slices(story, method)}
            for method in story.methods
        ],
        shown=SHOWN, paper=paper_beside(story.methods), version=__version__,
        json=partial(json.dumps, indent=1, ensure_ascii=False, default=str),
        manifests=[{"name": card.name, **asdict(card.manifest)} for card in (*story.ends, *story.twins)],
    )  # fmt: skip


def drawings(story: Story, panel: PanelSection) -> dict[str, Callable[..., Figure | None]]:
    """Every figure of a report, by name: what draws it, in a `theme`, and, but for the small ones, `narrow`; None: nothing to draw."""
    ways: dict[str, Sequence[Scorecard]] = {method.name: method.points for method in story.methods}
    return {
        "curve": partial(draw_curve, [method for method in story.methods if len(method.points) > 1], story.twins),
        "fame": partial(draw_fame, story.ends, story.twins),
        "plane": partial(draw_plane, ways | {card.name: (card,) for card in story.models}, story.twins),
        "strip": partial(draw_strips, strips_of(panel.named)),
        "leak": partial(draw_leaks, _leaks_of(story, panel), [twin.label for twin in panel.twins]),
        "panel": partial(draw_panel, panel),
    } | ({"inspect": partial(draw_layers, *story.inspected)} if story.inspected else {})  # fmt: skip


def _leaks_of(story: Story, panel: PanelSection) -> dict[str, Scorecard]:
    """The panel's models by name, each with what greedy decoding said, which may stand in a run's other scorecards."""
    greedy = {card.name: card.measurements for card in (*story.ends, *story.twins)}
    return {
        label: replace(card, measurements=(*card.measurements, *greedy.get(card.name, ())))
        for label, card in panel.named
    }


def _book(panel: PanelSection) -> list[tuple[str, list[str]]]:
    """Of every number of the book its label and each model's value, in the order of `named`."""
    cards = [card for _, card in panel.named if TASK in card.values]
    metrics = known(cards[0].values[TASK]) if cards else {}
    rows = [(metric, [card.find(TASK, metric) for card in cards]) for metric in metrics]
    return [(METRICS[metric].label, [describe(m) if m else "" for m in row]) for metric, row in rows]


def _both_themes(draw: Callable[..., Figure | None], *, small: bool) -> Markup:
    """A figure for light and for dark pages, of both widths if it is not small; empty where there is nothing to draw."""
    divs = []
    for width, options in {"small": {}}.items() if small else {"broad": {}, "narrow": {"narrow": True}}.items():
        light, dark = (draw(theme=theme, **options) for theme in (LIGHT, DARK))
        if light is None or dark is None:
            return Markup("")
        div = Markup('<div class="{}"><div class="light">{}</div><div class="dark">{}</div></div>')
        divs.append(div.format(width, svg_text(light), svg_text(dark)))
    return Markup("\n").join(divs)
