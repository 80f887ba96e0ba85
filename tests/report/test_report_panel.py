"""The report's "What is left": the panel's scorecards, no more and no less; and the stress tests beside it."""

import json
import random
import re
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
from test_report import card as own

from hp_bench.report.figures import DARK, LIGHT
from hp_bench.report.page import render
from hp_bench.report.panel import PanelRow, names_alone, panel_part, panel_section
from hp_bench.report.panel_figure import draw_panel
from hp_bench.report.run import read_story, write_page
from hp_bench.results.scorecard import Difference, Manifest, Scorecard, TaskManifest, measure
from hp_bench.stress.patching import inspection
from hp_bench.stress.run import Recovery, StressResult
from unlearn.files import write_json

N = 40
#: task -> metric -> (kind, share at full knowledge, share without any)
NUMBERS = {
    "hp_extraction": {"extraction_strength": ("mass", 0.7, 0.02), "answer_probability": ("mass", 0.6, 0.01)},
    "hp_familiarity_leak": {"leak": ("rate", 0.9, 0.03), "leak_degenerate": ("mass", 0.1, 0.1)},
    "hp_languages_fr": {"explicit": ("rate", 0.02, 0.02)},
    "hp_neighbours": {"kept_choice_accuracy": ("rate", 0.6, 0.58)},
    "hp_qa": {
        "choice_accuracy": ("rate", 0.85, 0.25),
        "choice_control": ("rate", 0.3, 0.3),
        "choice_gain": ("gain", 0.6, 0.0),
        "cloze_accuracy": ("rate", 0.8, 0.27),
    },
}


def panel(name, step, knows, *, seed=0, degenerate=None, unscored=0):
    """A scorecard of a model that knows so much, 0 to 1; the same prompts are hard for all."""
    values = {}
    for task, metrics in NUMBERS.items():
        values[task] = {}
        for metric, (kind, full, empty) in metrics.items():
            hard, noise = random.Random(f"{task} {metric}"), random.Random(f"{name} {metric} {seed}")
            share = empty + (full - empty) * knows
            draws = [0.7 * hard.random() + 0.3 * noise.random() for _ in range(N)]
            cut = sorted(draws)[round(share * N) - 1] if round(share * N) else -1.0
            rate = [float(d <= cut) for d in draws]
            rows = rate if kind in ("rate", "gain") else [min(1.0, share * (0.5 + d)) for d in draws]
            values[task][metric] = [None] * unscored + rows[unscored:]
    measurements = [
        measure(task, metric, rows, degenerate=degenerate if task == "hp_familiarity_leak" else None)
        for task, metrics in values.items() for metric, rows in metrics.items()
    ]  # fmt: skip
    tasks = {task: TaskManifest("1", N) for task in values}
    items = {task: [f"p{i}" for i in range(N)] for task in values}
    return Scorecard(name, tuple(measurements), items, values, Manifest(name, "hf", "float32", tasks), step)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Baseline, two methods (one has forgotten, one has not), two twins."""
    tmp_path = tmp_path_factory.mktemp("panel")
    for one in (
        own("baseline", 0, 30), own("gone/checkpoint-40", 40, 1), own("hiding/checkpoint-40", 40, 1), own("twin-1", None, 0), own("twin-2", None, 1),
    ):  # fmt: skip
        one.save(tmp_path / "scorecards" / f"{one.name}.json")
    for one in (
        panel("baseline", 0, 1.0), panel("gone/checkpoint-40", 40, 0.0, seed=3), panel("hiding/checkpoint-40", 40, 0.5),
        panel("twin-1", None, 0.0, seed=1), panel("twin-2", None, 0.0, seed=2),
    ):  # fmt: skip
        one.save(tmp_path / "panel" / "scorecards" / f"{one.name}.json")
    return tmp_path


@pytest.fixture
def run(told, tmp_path):
    """One of its own for each test."""
    return shutil.copytree(told, tmp_path / "run")


def test_a_run_without_a_panel_has_no_such_section(run):
    page = render(replace(read_story(run), panel=[], methods=[], twins=[]))
    assert "What is left" not in page and "Does it come back" not in page


def test_rows_are_the_panels_numbers_and_columns_its_models(run):
    left = panel_section(read_story(run))
    assert [c.label for c in (left.baseline, *left.models, *left.twins)] == [
        "baseline", "gone, step 40", "hiding, step 40", "twin-1", "twin-2",
    ]  # fmt: skip
    assert [(row.task, row.metric) for row in left.rows] == [(t, m) for t in NUMBERS for m in NUMBERS[t]]
    rows = {row.metric: row for row in left.rows}
    assert rows["choice_accuracy"].how.chance == 0.25 and rows["extraction_strength"].how.chance is None
    assert rows["choice_accuracy"].baseline.value == 0.85 and None not in rows["choice_accuracy"].models
    assert rows["kept_choice_accuracy"].how.better == "higher" and not rows["kept_choice_accuracy"].how.knowledge


def test_left_is_more_than_every_twin_and_what_cannot_tell_says_nothing(run):
    rows = {row.metric: row for row in panel_section(read_story(run)).rows}
    knowing = ("extraction_strength", "answer_probability", "leak", "choice_accuracy", "cloze_accuracy", "choice_gain")
    assert all(rows[name].informative and rows[name].above == (False, True) for name in knowing)
    assert rows["explicit"].informative is False and rows["explicit"].above == (False, False)
    for name in ("choice_control", "leak_degenerate", "kept_choice_accuracy"):
        assert rows[name].informative is None and rows[name].above == (False, False)


def test_the_sentences_say_what_is_left_in_counts(run):
    said = panel_section(read_story(run)).sentences
    gone, hiding = said
    assert gone.startswith(
        "gone, step 40 still answers 10 of 40 facts (the twins 10, 10; the baseline 34; by chance 10). "
    )
    assert "None of 6 numbers shows gone, step 40 above every twin; that is no proof" in gone
    assert " 1 number cannot tell the baseline from every twin, and says nothing here." in gone
    assert hiding.startswith("hiding, step 40 still answers 22 of 40")
    assert "In 6 of 6 numbers hiding, step 40 is above every twin: " in hiding
    assert hiding.endswith(
        "Of what should be kept, it answers 24 of 40 facts (the twins 23, 23; the baseline 24; by chance 10)."
    )


def test_what_is_above_the_twin_and_not_above_chance_is_said_to_be_so(run):
    for name in ("twin-1", "twin-2"):
        panel(name, None, -0.35).save(run / f"panel/scorecards/{name}.json")
    gone, hiding = panel_section(read_story(run)).sentences
    assert "facts, 4-way choice (chance .25) (hp_qa, not above chance)" in gone and "not above chance" not in hiding


def test_a_model_above_one_twin_and_not_the_other_is_not_said_to_know(run):
    panel("twin-2", None, 0.5, seed=2).save(run / "panel/scorecards/twin-2.json")
    rows = {row.metric: row for row in panel_section(read_story(run)).rows}
    assert rows["choice_accuracy"].above == (False, False) and rows["choice_accuracy"].informative


def test_without_twins_nothing_is_said_of_what_is_left(run):
    for path in run.rglob("twin-*.json"):
        path.unlink()
    left = panel_section(read_story(run))
    assert not left.twins and not any(any(row.above) or row.informative is not None for row in left.rows)
    assert (
        "Without a twin nothing tells what is left in gone, step 40 from what any model would guess."
        in left.sentences[0]
    )
    assert draw_panel(left, theme=LIGHT).axes[0].get_title(loc="left") == "What is known"


def test_a_broken_model_is_called_broken(run):
    panel("baseline", 0, 1.0, degenerate=3).save(run / "panel/scorecards/baseline.json")
    panel("gone/checkpoint-40", 40, 0.0, degenerate=30).save(run / "panel/scorecards/gone/checkpoint-40.json")
    said = panel_section(read_story(run)).sentences
    assert "is broken: 30 of 40 completions of hp_familiarity_leak are degenerate (loops or noise)" in said[0]


def test_other_prompts_are_not_compared(run):
    twin = panel("twin-1", None, 0.0)
    tasks = {**twin.manifest.tasks, "hp_qa": TaskManifest("2", N)}
    replace(twin, manifest=replace(twin.manifest, tasks=tasks)).save(run / "panel/scorecards/twin-1.json")
    (run / "panel/scorecards/twin-2.json").unlink()
    rows = {row.metric: row for row in panel_section(read_story(run)).rows}
    assert rows["choice_accuracy"].informative is None and rows["leak"].informative


def test_without_a_folder_of_its_own_the_panel_is_looked_for_in_the_runs_scorecards(tmp_path):
    one, other = own("baseline", 0, 30), panel("baseline", 0, 1.0)
    both = replace(
        one, measurements=one.measurements + other.measurements, values={**one.values, **other.values}, items={**one.items, **other.items},
        manifest=replace(one.manifest, tasks={**one.manifest.tasks, **other.manifest.tasks}),
    )  # fmt: skip
    assert panel_part(one) is None and set(panel_part(both).values) == set(NUMBERS)
    for name, step in (("baseline", 0), ("a/checkpoint-20", 20)):
        replace(both, name=name, step=step).save(tmp_path / "scorecards" / f"{name}.json")
    left = panel_section(read_story(tmp_path))
    assert {row.task for row in left.rows} == set(NUMBERS) and [c.label for c in left.models] == ["a, step 20"]


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_figure_draws_every_model_with_its_interval_between_twin_and_baseline(run, theme, narrow):
    left = panel_section(read_story(run))
    figure = draw_panel(left, theme=theme, narrow=narrow)
    known, kept = figure.axes
    assert known.get_title(loc="left") == "What is left" and kept.get_title(loc="left") == "What should be kept"
    dots = {}
    for container in known.containers:
        line, _, (bars,) = container.lines
        dots.setdefault(container.get_label(), []).append((float(line.get_xdata()[0]), bars.get_segments()[0]))
    drawn = [row for row in left.leading_rows if row.how.knowledge and row.informative]
    assert [x for x, _ in dots["baseline"]] == pytest.approx([1.0] * len(drawn))
    for (x, bar), row in zip(dots["hiding, step 40"], drawn, strict=True):
        zero = sum(t.value for t in row.twins) / 2
        assert x == pytest.approx((row.models[1].value - zero) / (row.baseline.value - zero))
        assert bar[0][0] < x < bar[1][0]
    assert "cannot tell the baseline from the twin" in [text.get_text() for text in known.texts]
    markers = {c.lines[0].get_marker() for c in known.containers}
    assert len(markers) == 3


def test_the_page_has_table_figure_for_both_widths_and_no_script(run):
    page = write_page(run).read_text(encoding="utf-8")
    section = page[page.index("What is left") : page.index("The same prompts")]
    assert section.count("<svg") == 4 and "<script" not in page and section.count("&#9650;") == 7
    for text in ("facts, 4-way choice (chance .25)", "hiding, step 40", "hp_neighbours", 'class="soft"'):
        assert text in section, text


def recovery(stress, metric, value, p, **more):
    def change(x):
        return Difference("hp_qa", metric, x, x - 0.1, x + 0.1, p, N, 0)

    return Recovery(stress, "hp_qa", metric, 0.3, 0.3 + value, change(value), change(0.0), change(value), p, **more)


def test_stress_tests_are_a_table_and_sentences(run):
    rows = (
        recovery("8-bit", "choice_accuracy", 0.01, 0.8), recovery("4-bit", "choice_accuracy", 0.4, 0.001),
        recovery("relearned-20", "choice_accuracy", 0.4, 0.001, broken="it is broken"),
    )  # fmt: skip
    settings = {"8-bit": {"bits": 8}, "4-bit": {"bits": 4}, "relearned-20": {"steps": 20}}
    result = StressResult("checkpoint-40", "twin-1", settings, rows, ("model-x: broke",))
    write_json(run / "stress/hiding/stress.json", {"format": 1, **asdict(result)})
    page = render(replace(read_story(run), panel=[], methods=[], twins=[]))
    section = page[page.index("Does it come back?") :]
    for text in (
        "hiding/checkpoint-40, beside twin-1", "4-bit: hiding/checkpoint-40 knows more beyond twin-1 in 1 of 1 numbers", "no number of 1 shows more beyond",
        "relearned-20 (broken)", "relearned-20: hiding/checkpoint-40 is broken by it", "&#9650; +0.400 [+0.300,\u00a0+0.500]", "Failed: model-x: broke",
    ):  # fmt: skip
        assert text in section, text
    assert len(re.findall("&#9650;", section[: section.index("The same prompts")])) == 1
    (run / "stress/hiding/stress.json").write_text(json.dumps({"format": 0}))
    with pytest.raises(ValueError, match="is not the result of a stress test"):
        read_story(run)


def test_hidden_states_are_a_sentence_a_model_and_a_curve_for_both_widths(run):
    costs = np.array([[4.0, 5.0, 0.1], [2.0, 3.0, 0.1]])
    found = inspection("unlearned", ["a", "b", "c"], costs, costs / 4)
    path = run / "inspect/inspect.json"
    write_json(path, {"baseline": "taught", "twin": "twin-1", "models": [asdict(found)]})
    story = read_story(run)
    assert story.inspected == ([found], "twin-1")
    page = render(replace(story, panel=[], stress=[]))
    section = page[page.index("What the hidden states still hold") : page.index("The same prompts before")]
    assert section.count("<svg") == 4 and "<table" not in section
    for text in ("unlearned: its hidden states give back 0.75", "what twin-1&#39;s lack", "2 facts; 1 left out"):
        assert text in section, text
    path.write_text("{}")
    with pytest.raises(ValueError, match="inspect.json' is not the result of hp-bench inspect"):
        read_story(run)
    path.unlink()
    assert "hidden states" not in render(read_story(run))


def test_numbers_that_rise_with_the_names_alone_are_no_proof_of_a_fact():
    names, fact = _row("cloze_accuracy"), _row("answer_probability")
    assert names_alone([fact]) == ""
    assert names_alone([fact, names]) == " 1 of these also rises with the names alone."
    assert "do not show that a fact is left" in names_alone([names, names])


def _row(metric: str) -> PanelRow:
    return PanelRow("hp_qa", metric, None, (None,), (), (True,), True)
