"""The book as a strip, and leak@k as a curve: what is drawn is what was measured."""

import re

import numpy as np
import pytest
from test_report import card as own

from hp_bench.report.figures import DARK, LIGHT, draw_leaks
from hp_bench.report.page import render
from hp_bench.report.run import read_story, write_figures
from hp_bench.report.strip import Strip, draw_strips, print_strips, strips_of
from hp_bench.results.scorecard import Manifest, Scorecard, TaskManifest, measure

BOOK = [0.0, 1e-20, 0.2, 0.6, 0.3, 0.05, 0.004, None, 0.02, 1.0]


def card(name, values, leaks=0.0, *, step=None):
    """A model asked a book in ten windows, and 20 prompts several times."""
    tasks = {
        "hp_verbatim": {"verbatim_probability": values},
        "hp_familiarity_leak": {
            **{f"leak_{k}": [min(1.0, k * leaks)] * 20 for k in (1, 2, 4, 8)},
            "leak": [float(n < 20 * min(1.0, 16 * leaks)) for n in range(20)],
        },
    }
    found = [measure(task, metric, rows) for task, metrics in tasks.items() for metric, rows in metrics.items()]
    items = {
        "hp_verbatim": [f"offset-{200 * n}" for n in range(10)],
        "hp_familiarity_leak": [str(n) for n in range(20)],
    }
    manifest = Manifest(name, "hf", "float32", {task: TaskManifest("1", len(items[task])) for task in tasks})
    return Scorecard(name, tuple(found), items, tasks, manifest, step)


@pytest.fixture
def run(tmp_path):
    for one in (own("baseline", 0, 30), own("gone/checkpoint-40", 40, 1), own("twin-1", None, 0)):
        one.save(tmp_path / "scorecards" / f"{one.name}.json")
    for one in (
        card("baseline", BOOK, 0.05, step=0),
        card("gone/checkpoint-40", [1e-9] * 10, 0.01, step=40),
        card("twin-1", [0.0] * 10),
    ):
        one.save(tmp_path / "panel" / "scorecards" / f"{one.name}.json")
    return tmp_path


def test_runs_by_hand():
    (strip,) = strips_of([("m", card("m", BOOK))])
    assert strip.longest_run(0.1) == 600  # three windows, 200 characters each
    assert strip.longest_run(0.01) == 800
    assert strip.longest_run(0.9) == 200  # the last one
    assert strip.longest_run(1.0) == 0
    assert strips_of([("m", card("m", [None] * 10)), ("other", own("other", 0, 3))]) == []


def test_cells_are_shades_and_of_several_windows_the_highest():
    strip = Strip("m", tuple(range(10)), tuple(BOOK))
    assert strip.cells(10) == [0, 1, 5, 6, 5, 4, 3, -1, 4, 6]
    assert strip.cells(5) == [1, 6, 5, 3, 6]
    assert Strip("m", (0,), (0.5,)).cells(10) == [6]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_every_model_is_a_strip_of_its_own(theme):
    strips = strips_of([("baseline", card("b", BOOK)), ("gone", card("g", [1e-9] * 10))])
    figure = draw_strips(strips, theme=theme)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["baseline", "gone"]
    drawn = [np.asarray(axis.images[0].get_array())[0].tolist() for axis in figure.axes]
    assert drawn == [strip.cells(600) for strip in strips]
    first = figure.axes[0].images[0]
    colours = {shade: tuple(first.cmap(first.norm(shade))) for shade in range(-1, 7)}
    assert len(set(colours.values())) == 8, "seven shades, and what was not scored"
    assert draw_strips([]) is None


def test_the_terminals_strip_is_as_wide_as_it_may_be():
    printed = print_strips(strips_of([("baseline", card("b", BOOK))])).plain
    assert "baseline, longest run above 0.1: 600 characters" in printed
    assert "|  ▓█▓▒░?▒█|" in printed
    wide = print_strips([Strip("m", tuple(range(0, 200_000, 200)), (0.9,) * 1000)]).plain
    assert max(map(len, wide.splitlines())) <= 80
    assert not print_strips([])


def test_the_curve_is_leak_at_k_beside_the_greedy_number(run):
    story = read_story(run)
    models = [(one.name, one) for one in story.panel]
    greedy = own("baseline", 0, 30)
    baseline = card("baseline", BOOK, 0.05, step=0)
    whole = Scorecard(
        "baseline", (*baseline.measurements, *greedy.measurements), baseline.items, baseline.values, baseline.manifest
    )
    figure = draw_leaks({"baseline": whole, "twin-1": card("twin-1", [0.0] * 10)}, ["twin-1"], narrow=True)
    (axis,) = figure.axes
    curves = {container.get_label(): container.lines[0].get_data() for container in axis.containers}
    ks, values = curves["baseline"]
    assert [round(k) for k in ks] == [1, 2, 4, 8, 16]
    assert list(values) == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8])
    assert list(curves["twin-1 (never read the target)"][1]) == [0] * 5
    drawn = [container.lines[0].get_data() for container in axis.containers]
    (left,) = [list(values) for ks, values in drawn if len(ks) == 1]
    assert left == [greedy.get("hp_familiarity", "explicit").value]
    assert draw_leaks({name: own(name, 0, 3) for name, _ in models}) is None


def test_the_page_and_the_figures_show_both(run):
    page = render(read_story(run))
    assert "The text, place by place" in page and "Asked again and again" in page
    numbers = page[page.index("The text, place by place") : page.index("Asked again and again")]
    assert re.search(
        r"longest run of windows with p_z above 0\.1, characters</td><td class=\"number\">600</td>", numbers
    )
    assert {path.name for path in write_figures(run)} >= {"strip.png", "strip.svg", "leak.png", "leak.svg"}
    for path in (run / "panel" / "scorecards").rglob("*.json"):
        path.unlink()
    assert "place by place" not in render(read_story(run))
