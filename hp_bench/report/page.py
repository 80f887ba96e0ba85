"""Puts a report's sections into its template."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import groupby, islice
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from hp_bench import __version__
from hp_bench.report import sections
from hp_bench.report.figures import DARK, LIGHT, PAPER, Theme, draw_curve, draw_fame, draw_leaks, draw_plane, svg_text
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


def render(story: Story) -> str:
    """The page as HTML; the same story, the same bytes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hp_bench.report", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    panel, planes = panel_section(story), sections.planes(story)
    strips, leaks, layers = strips_of(panel.named), leaks_of(story, panel), story.inspected
    to_json = partial(json.dumps, indent=1, ensure_ascii=False, default=str)
    curves = [method.curve for method in story.methods if len(method.curve.points) > 1]
    rows = groupby(
        sections.table(story), lambda row: row.method + (f", step {row.step}" if row.step is not None else "")
    )
    tables = [(name, list(of_model)) for name, of_model in rows]
    return environment.get_template("page.html.j2").render(
        story=story, headline=sections.headline(story), tables=tables,
        curve=_both_themes(lambda theme: draw_curve(curves, story.twins, theme=theme) if curves else None),
        narrow_curve=_both_themes(lambda theme: draw_curve(curves, story.twins, theme=theme, columns=1) if curves else None),
        fame=_both_themes(lambda theme: draw_fame(story.ends, story.twins, theme=theme)),
        plane=_both_themes(lambda theme: draw_plane(*planes, theme=theme) if planes[0] else None),
        panel=panel, panel_figure=_both_themes(lambda theme: draw_panel(panel, theme=theme)),
        narrow_panel=_both_themes(lambda theme: draw_panel(panel, theme=theme, narrow=True)),
        strips=_both_themes(lambda theme: draw_strips(strips, theme=theme)), book=_book(panel),
        runs={strip.name: strip.longest_run() for strip in strips}, above=RUNS_ABOVE,
        narrow_strips=_both_themes(lambda theme: draw_strips(strips, theme=theme, narrow=True)),
        leaks=_both_themes(lambda theme: draw_leaks(*leaks, theme=theme)),
        narrow_leaks=_both_themes(lambda theme: draw_leaks(*leaks, theme=theme, columns=1)),
        inspected=list(islice(print_layers(*layers), len(layers[0]) + 1)) if layers else [],
        layers=_both_themes(lambda theme: draw_layers(*layers, theme=theme) if layers else None),
        narrow_layers=_both_themes(lambda theme: draw_layers(*layers, theme=theme, columns=1) if layers else None),
        change=describe_difference, describe=describe, p_value=describe_p,
        metrics=METRICS,
        methods=[
            {"name": method.curve.name, "exchanges": sections.exchanges(story, method), "slices": sections.slices(method)}
            for method in story.methods
        ],
        shown=SHOWN, paper=PAPER, version=__version__, manifests=_manifests(story), json=to_json,
    )  # fmt: skip


def leaks_of(story: Story, panel: PanelSection) -> tuple[list[tuple[str, Scorecard]], list[tuple[str, Scorecard]]]:
    """Models and twins of the panel by name, each with what greedy decoding said, which may stand in a run's other scorecards."""
    greedy = {card.name: card.measurements for card in (*story.ends, *story.twins)}
    whole = [
        (label, replace(card, measurements=(*card.measurements, *greedy.get(card.name, ()))))
        for label, card in panel.named
    ]
    models = len(whole) - len(panel.twins)
    return whole[:models], whole[models:]


def _book(panel: PanelSection) -> list[tuple[str, list[str]]]:
    """Of every number of the book its label and each model's value, in the order of `named`."""
    cards = [card for _, card in panel.named if TASK in card.values]
    metrics = known(cards[0].values[TASK]) if cards else {}
    rows = [(metric, [card.find(TASK, metric) for card in cards]) for metric in metrics]
    return [(METRICS[metric].label, [describe(m) if m else "" for m in row]) for metric, row in rows]


def _both_themes(draw: Callable[[Theme], Figure | None]) -> dict[str, Markup]:
    """A figure for light and for dark pages; empty where there is nothing to draw."""
    figures = {"light": draw(LIGHT), "dark": draw(DARK)}
    return {name: svg_text(figure) if figure is not None else Markup("") for name, figure in figures.items()}


def _manifests(story: Story) -> Sequence[dict[str, Any]]:
    return [{"name": card.name, **asdict(card.manifest)} for card in (*story.ends, *story.twins)]
