"""The report and the figures tell what the scorecards say: no more, no less, and the same bytes twice."""

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace

import jsonlines
import pytest

from hp_bench.probes.paths import prompts_dir
from hp_bench.report.figures import draw_curve, draw_fame, draw_plane, panels_of, save_figure
from hp_bench.report.page import drawings, render
from hp_bench.report.panel import panel_section
from hp_bench.report.run import read_story, write_figures, write_page
from hp_bench.report.sections import exchanges, headline, marked, slices, table
from hp_bench.results.curve import Curve
from hp_bench.results.scorecard import Manifest, Scorecard, TaskManifest, measure

N = 40
PROMPTS = hashlib.sha256((prompts_dir() / "familiarity.jsonl").read_bytes()).hexdigest()
TASK, MASS, UTILITY = "hp_familiarity", "hp_token_probability", "hp_utility_small"


def card(name, step, explicit, *, degenerate=0, right=30, unscored=0):
    """A scorecard with so many explicit completions of N."""
    grades = [5.0] * explicit + [0.0] * (N - explicit - unscored) + [None] * unscored
    values = {
        TASK: {"familiarity": grades, "explicit": [None if g is None else g / 5 for g in grades]},
        MASS: {"token_probability": [explicit / N * 0.9 + 0.001 * i / N for i in range(N)]},
        UTILITY: {"acc": [1.0] * right + [0.0] * (N - right)},
    }
    measurements = [
        measure(task, metric, rows, degenerate=degenerate if task == TASK else None)
        for task, metrics in values.items() for metric, rows in metrics.items()
    ]  # fmt: skip
    asked = {TASK: PROMPTS}
    tasks = {
        task: TaskManifest("1", N, asked.get(task, ""), judge="lexicon" if task == TASK else "") for task in values
    }
    items = {task: [f"p{i}" for i in range(N)] for task in values}
    return Scorecard(name, tuple(measurements), items, values, Manifest(f"models/{name}", "hf", "float32", tasks), step)


def sample(number, grade, text="Hogwarts and so on", start=0, end=8):
    revealed = [{"start": start, "end": end, "grade": "explicit", "term": "Hogwarts"}] if grade == "explicit" else []
    return {
        "id": f"p{number}", "prompt": f"Prompt <{number}> & so", "responses": [text], "kind": "partial" if number % 2 else "overt",
        "subtlety": 1 + number % 10, "topic": "houses", "verdict": {"grade": grade, "revealed": revealed, "degenerate": ""},
    }  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """Two methods from one baseline, and two twins."""
    cards = [card("baseline", 0, 30), card("a/checkpoint-20", 20, 5), card("a/checkpoint-40", 40, 1, right=25)]
    cards += [card("b/checkpoint-20", 20, 10), card("b/checkpoint-40", 40, 2, degenerate=30)]
    cards += [card("twin-1", None, 0), card("twin-2", None, 1)]
    for one in cards:
        one.save(tmp_path / "scorecards" / f"{one.name}.json")
        explicit = sum(v == 5 for v in one.values[TASK]["familiarity"])
        folder = tmp_path / "samples" / one.name
        folder.mkdir(parents=True)
        with jsonlines.open(folder / f"{TASK}.jsonl", "w") as lines:
            lines.write_all(sample(i, "explicit" if i < explicit else "none") for i in range(N))
    return tmp_path


def test_scorecards_alone_tell_methods_twins_and_baseline(run):
    story = read_story(run)
    assert {m.name: [p.step for p in m.points] for m in story.methods} == {
        "a": [0, 20, 40],
        "b": [0, 20, 40],
    }
    assert [t.name for t in story.twins] == ["twin-1", "twin-2"] and not story.models


def test_a_story_file_decides_and_must_not_name_what_is_not_there(run):
    told = {"title": "T", "methods": {"only": ["baseline", "a/checkpoint-40"]}, "twins": []}
    (run / "story.json").write_text(json.dumps(told))
    assert [p.step for p in read_story(run).methods[0].points] == [0, 40]
    (run / "story.json").write_text(json.dumps({**told, "twins": ["twin-9"]}))
    with pytest.raises(ValueError, match="names scorecards that are not there: twin-9"):
        read_story(run)


def test_models_on_no_curve_stand_beside_the_baseline(tmp_path):
    for one in (card("baseline", 0, 30), card("mine", None, 3), card("yours", None, 6)):
        one.save(tmp_path / "scorecards" / f"{one.name}.json")
    story = read_story(tmp_path)
    assert [m.name for m in story.models] == ["mine", "yours"] and not story.methods
    rows = {(row.method, row.metric): row for row in table(story)}
    assert rows["mine", "explicit"].before.startswith("0.750") and rows["mine", "explicit"].difference.startswith(
        "-0.675"
    )
    page = render(story)
    assert "mine" in page and "The curve" not in page
    assert [path.name for path in write_figures(tmp_path)] == ["plane.png", "plane.svg"]


def test_models_of_other_prompts_on_one_page_are_said_to_be(tmp_path):
    one, other = card("mine", None, 3), card("yours", None, 6)
    asked = replace(other.manifest.tasks[TASK], prompts_sha256="0" * 64)
    for second, said in (
        (other, []),
        (
            replace(other, manifest=replace(other.manifest, tasks={**other.manifest.tasks, TASK: asked})),
            [f"Not all of these models were asked alike: {TASK}: they were asked other prompts."],
        ),
    ):
        for model in (one, second):
            model.save(tmp_path / "scorecards" / f"{model.name}.json")
        assert headline(read_story(tmp_path)) == said


@pytest.mark.parametrize("name", ["a/checkpoint-20", "b/checkpoint-40", "twin-2"])
def test_a_scorecard_made_under_other_conditions_is_said_on_the_page(run, name):
    assert not any("conditions" in sentence for sentence in headline(read_story(run)))
    path = run / "scorecards" / f"{name}.json"
    one = Scorecard.load(path)
    replace(one, manifest=replace(one.manifest, dtype="bfloat16")).save(path)
    dtype = one.manifest.dtype
    assert f"Not quite the same conditions: dtype '{dtype}' against 'bfloat16'." in headline(read_story(run))


def test_the_table_is_the_scorecards(run):
    rows = {(row.method, row.metric): row for row in table(read_story(run))}
    familiarity = rows["a", "familiarity, completion (0 to 5)"]
    assert (
        familiarity.before.startswith("3.75 [")
        and familiarity.after.startswith("0.12 [")
        and familiarity.difference.startswith("-3.625 [")
    )
    assert familiarity.p == "< .001" and familiarity.step == 40 and familiarity.twin.count("[") == 2
    assert rows["b", "explicit"].degenerate == f"30 of {N}"
    assert rows["a", f"accuracy, {UTILITY}"].better == "higher"


def test_a_broken_model_is_called_broken_and_not_forgotten(run):
    said = " ".join(headline(read_story(run)))
    assert (
        "b is broken at step 40: 30 of 40 completions are degenerate (loops or noise)." in said
        and "a is broken" not in said
    )


def test_prompts_before_during_and_after_worst_leaks_first(run):
    story = read_story(run)
    found = exchanges(story, story.methods[1])
    assert [e["prompt"] for e in found[:2]] == ["Prompt <0> & so", "Prompt <1> & so"]
    assert [s["label"] for s in found[0]["shown"]] == ["before", "step 20", "step 40", "twin-1"]
    assert [s["grade"] for s in found[0]["shown"]] == ["explicit", "explicit", "explicit", "none"]
    assert '<mark class="explicit"' in found[0]["shown"][0]["text"] and "<mark" not in found[2]["shown"][2]["text"]


def test_explicit_by_fame_is_drawn_where_fame_is_known(run):
    assert draw_fame(read_story(run).ends) is None
    baseline = card("baseline", 0, 30)
    shares = [
        measure("hp_familiarity", f"explicit_fame_{level}", [1.0] * level + [0.0] * (10 - level))
        for level in range(1, 6)
    ]
    known = replace(baseline, measurements=(*baseline.measurements, *shares))
    axis = draw_fame([known], [replace(known, name="twin-1")]).axes[0]
    drawn = [list(container.lines[0].get_ydata()) for container in axis.containers]
    assert drawn == [[0.1, 0.2, 0.3, 0.4, 0.5]] * 2
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["baseline", "twin-1 (never read the target)"]


def test_what_a_model_writes_cannot_write_the_page():
    nasty = "<script>alert(1)</script> Hogwarts </dd>"
    text = marked(nasty, [{"start": 26, "end": 34, "grade": "explicit", "term": "<b>"}])
    assert "<script" not in text and "</dd>" not in text and ">Hogwarts</mark>" in text and "&lt;b&gt;" in text


def test_slices_are_of_the_prompts_asked(run):
    story = read_story(run)
    found = {(s["by"], s["name"]): s["n"] for s in slices(story, story.methods[0])}
    assert found["kind", "overt"] + found["kind", "partial"] == N
    assert [name for by, name in found if by == "subtlety"] == ["1-2", "3-4", "5-6", "7-8", "9-10"]
    assert ("topic", "houses") not in found  # one topic is no slice


def test_the_page_is_one_file_that_says_what_was_run(run):
    page = write_page(run).read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page) and "@import" not in page and "<script" not in page
    assert page.count("<svg") == 6 and "prefers-color-scheme: dark" in page and "@media print" in page
    for text in ("Prompt &lt;0&gt; &amp; so", "models/a/checkpoint-40", "Llama-2-7b-chat", "lexicon", "twin-2"):
        assert text in page, text
    assert render(read_story(run)) == page


def test_figures_are_the_same_bytes_twice(run, tmp_path):
    first = {path.name: path.read_bytes() for path in write_figures(run)}
    assert set(first) == {"curve.png", "curve.svg", "plane.png", "plane.svg"}
    assert {path.name: path.read_bytes() for path in write_figures(run)} == first


def test_the_curve_draws_every_point_with_its_interval_and_the_paper_apart(run):
    story = read_story(run)
    figure = draw_curve(story.methods, story.twins)
    visible = [axis for axis in figure.axes if axis.get_visible()]
    titles = [axis.get_title(loc="left") for axis in visible]
    assert [p.metric for p in panels_of(story.methods[0].points)] == ["familiarity", "token_probability", "acc"]
    assert len(titles) == 4 and "paper" in titles[-1] and not any("paper" in title for title in titles[:-1])
    first = visible[0]
    assert len(first.containers) == 2  # one error bar a method
    for container, method in zip(first.containers, story.methods, strict=True):
        line, _, (bars,) = container.lines
        assert list(line.get_ydata()) == [m.value for _, m in method.series(TASK, "familiarity")]
        for segment, (_, m) in zip(bars.get_segments(), method.series(TASK, "familiarity"), strict=True):
            assert segment[0][1] == pytest.approx(m.low) and segment[1][1] == pytest.approx(m.high)


def test_the_papers_figure_stands_beside_no_other_text(run):
    """Curves of a run on another novel, and of the miniature, had the paper's Harry Potter figures beside them."""
    for path in (run / "scorecards").rglob("*.json"):
        path.write_text(path.read_text(encoding="utf-8").replace(PROMPTS, "0" * 64), encoding="utf-8")
    story = read_story(run)
    titles = [axis.get_title(loc="left") for axis in draw_curve(story.methods).axes if axis.get_visible()]
    assert titles == ["Completion-based familiarity", "Probability-based familiarity", "Utility"]
    page = render(story)
    assert "Llama-2-7b-chat" not in page and "the paper's own figure" not in page and "<h2>The curve</h2>" in page


def test_the_plane_holds_baseline_ends_and_twins(run):
    story = read_story(run)
    figure = drawings(story, panel_section(story))["plane"]()
    (axis,) = figure.axes
    ways = {line.get_label(): line.get_ydata() for line in axis.lines if not line.get_label().startswith("_")}
    assert set(ways) == {"a", "b"} and list(ways["a"]) == pytest.approx([30 / 40, 30 / 40, 25 / 40])
    assert [text.get_text() for text in axis.texts if "step" in text.get_text()] == ["step 40", "step 40"]
    assert len([one for one in axis.containers if one.lines[0].get_marker() == "*"]) == 2, "the twins"


def test_a_model_without_a_number_is_not_on_the_plane():
    dead = replace(card("m", 20, 3), measurements=tuple(replace(m, value=None) for m in card("m", 20, 3).measurements))
    figure = draw_plane({"m": [card("baseline", 0, 30), dead, card("m", 40, 1)]})
    assert len(figure.axes[0].lines[0].get_xdata()) == 2 and draw_plane({"m": [dead]}) is None


def test_points_of_other_judges_make_no_curve():
    first, other = card("baseline", 0, 30), card("x", 20, 1)
    changed = replace(other.manifest.tasks[TASK], judge="other")
    other = replace(other, manifest=replace(other.manifest, tasks={**other.manifest.tasks, TASK: changed}))
    with pytest.raises(ValueError, match="do not compare: hp_familiarity: graded by lexicon against other"):
        Curve("c", (first, other))


def test_a_figure_is_never_half_written(tmp_path, run, monkeypatch):
    story = read_story(run)
    figure = draw_curve(story.methods[:1])
    monkeypatch.setattr(
        type(figure), "savefig", lambda *a, **k: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(OSError):
        save_figure(figure, tmp_path / "new.png")
    assert not (tmp_path / "new.png").exists()


def test_a_folder_without_scorecards_is_a_users_mistake(tmp_path):
    done = subprocess.run([sys.executable, "-m", "hp_bench", "report", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 2 and "holds no scorecards" in done.stderr and "Traceback" not in done.stderr
    (tmp_path / "scorecards").mkdir()
    (tmp_path / "scorecards" / "x.json").write_text("{}")
    with pytest.raises(ValueError, match=r"x.json' is not a scorecard"):
        read_story(tmp_path)
