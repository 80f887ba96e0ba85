"""`hp-bench compare`: paired where it may be, refused with the difference named where it may not."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from test_scorecard import card
from typer.testing import CliRunner

from hp_bench.cli import app
from hp_bench.results.compare import broken, compare_curves
from hp_bench.results.scorecard import Scorecard, failures, measure


def run(*words: object, code: int = 0):
    done = CliRunner().invoke(app, ["compare", *map(str, words)])
    if code == 2:
        assert isinstance(done.exception, ValueError), done.output
        return str(done.exception)
    assert done.exit_code == code, done.output + repr(done.exception)
    return done


def kept(folder: Path, *cards: Scorecard) -> Path:
    for one in cards:
        one.save(folder / "scorecards" / f"{one.name}.json")
    return folder


BEFORE, AFTER = [5.0] * 20, [0.0] * 18 + [5.0, 1.0]


def test_two_scorecards_side_by_side_with_their_paired_difference(tmp_path):
    a, b = card("baseline", BEFORE).save(tmp_path / "a.json"), card("after", AFTER).save(tmp_path / "b.json")
    content = json.loads(run(a, b, "--json").stdout)
    assert [c["name"] for c in content["scorecards"]] == ["baseline", "after"]
    one = next(d for d in content["differences"] if d["difference"]["metric"] == "familiarity")
    assert one["difference"]["value"] == pytest.approx(-4.7)
    assert one["p_adjusted"] < 0.001
    shown = run(a, b).stdout
    assert shown.startswith("after: familiarity 0.30 [0.04, 1.25], lower than baseline's 5.00\n")
    assert "-4.700" in shown and "after, compared with baseline" in shown and "5.00 [" in shown


def test_a_folder_is_its_scorecards_and_the_baseline_comes_first(tmp_path):
    folder = kept(
        tmp_path / "run",
        card("checkpoint-20", AFTER, step=20),
        card("checkpoint-9", BEFORE, step=9),
        card("baseline", BEFORE, step=0),
    )
    content = json.loads(run(folder, "--json").stdout)
    assert [c["name"] for c in content["scorecards"]] == ["baseline", "checkpoint-9", "checkpoint-20"]
    assert {d["name"] for d in content["differences"]} == {"checkpoint-9", "checkpoint-20"}


def test_scorecards_of_one_name_are_told_apart_by_as_little_of_their_paths_as_does(tmp_path):
    def told(*paths: str, name: str = "mine") -> list[str]:
        files = [card(name, BEFORE).save(tmp_path / path) for path in paths]
        return [c["name"] for c in json.loads(run(*files, "--json").stdout)["scorecards"]]

    assert told("a/judged/scorecards/mine.json", "b/judged/scorecards/mine.json") == ["a/mine", "b/mine"]
    assert told("a/x/mine.json", "a/mine.json") == ["a/x/mine", "a/mine"]
    assert told("a/before.json", "a/after.json") == ["before/mine", "after/mine"]
    assert told("a/before.json", "b/after.json", name="base") == ["a/before/base", "b/after/base"]


def test_two_curves_are_compared_step_by_step(tmp_path):
    steps = {0: BEFORE, 20: BEFORE, 40: AFTER}
    a = kept(tmp_path / "a", *(card(f"c{s}", v, step=s) for s, v in steps.items()))
    b = kept(tmp_path / "b", *(card(f"c{s}", BEFORE, step=s) for s in (0, 20, 40, 60)))
    content = json.loads(run(a, b, "--json").stdout)
    found = {
        d["name"]: d["difference"]["value"]
        for d in content["differences"]
        if d["difference"]["metric"] == "familiarity"
    }
    assert found == {"b - a, step 20": 0, "b - a, step 40": pytest.approx(4.7)}
    assert {c["name"] for c in content["scorecards"]} >= {"a/c0", "b/c60"}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"judge": "lexicon-v2-y"}, "hp_familiarity: graded by lexicon-v1-x against lexicon-v2-y"),
        ({"version": "2"}, "hp_familiarity: version 1 of the task against 2"),
        (
            {"prompts_sha256": "cd", "n": 6},
            "hp_familiarity: 4 prompts against 6; hp_familiarity: they were asked other prompts",
        ),
        ({"decoding": "{}"}, "hp_familiarity: generated in different ways (none against {})"),
        ({"chat_template": "t"}, "hp_familiarity: their chat templates differ"),
        ({"num_fewshot": 5}, "hp_familiarity: 0 examples before each prompt against 5"),
        ({"prompts_changed": "quick: 60 of 300 prompts"}, "(none against quick: 60 of 300 prompts)"),
        ({"tokens_sha256": "t"}, "they were asked other tokens"),
    ],
)
def test_scorecards_and_curves_that_do_not_compare_are_refused_with_the_difference_named(tmp_path, change, message):
    def other(one: Scorecard) -> Scorecard:
        tasks = {name: replace(task, **change) for name, task in one.manifest.tasks.items()}
        return replace(one, manifest=replace(one.manifest, tasks=tasks))

    a, b = card("a").save(tmp_path / "a.json"), other(card("b")).save(tmp_path / "b.json")
    assert message in run(a, b, code=2)
    first = kept(tmp_path / "x", *(card(f"c{s}", step=s) for s in (0, 20, 40)))
    second = kept(tmp_path / "y", *(other(card(f"c{s}", step=s)) for s in (0, 20, 40)))
    assert message in run(first, second, code=2)


def test_another_engine_or_library_is_said_and_not_refused(tmp_path):
    ours = replace(card().manifest, device="cpu, threads: 1")
    theirs = replace(ours, engine="vllm", versions={"torch": "3"}, device="cpu, threads: 2")
    a, b = (replace(card(n), manifest=m).save(tmp_path / f"{n}.json") for n, m in (("a", ours), ("b", theirs)))
    said = run(a, b).stderr
    assert "not quite the same conditions: engine 'hf' against 'vllm'" in said
    assert "torch 2 against 3" in said
    assert "device cpu, threads: 1 against cpu, threads: 2" in said
    replace(card("b"), manifest=card().manifest).save(tmp_path / "b.json")
    assert "device" not in run(a, b).stderr, "an older scorecard does not say where it was made"


def test_a_scorecard_without_a_number_is_told_by_its_reason_and_is_no_reference(tmp_path):
    lost = card("lost", [None] * 4, failures={"hp_familiarity": "no model there"}).save(tmp_path / "lost.json")
    one = card("a").save(tmp_path / "a.json")
    assert run(lost, one, code=2) == "there is no number to compare with: lost: no model there"
    done = run(one, lost)
    assert "failed" not in done.stdout and "lost: no model there" in done.stderr


def test_a_users_mistake_is_named(tmp_path):
    one = card("a").save(tmp_path / "a.json")
    assert "has nothing to be compared with" in run(one, code=2)
    assert "is neither a scorecard nor a folder" in run(one, tmp_path / "b.json", code=2)
    (tmp_path / "empty").mkdir()
    assert "holds no scorecards/*.json" in run(one, tmp_path / "empty", code=2)
    (tmp_path / "bad.json").write_text("{}")
    assert "is not a scorecard" in run(one, tmp_path / "bad.json", code=2)
    with pytest.raises(ValueError, match="no step in common"):
        compare_curves({"a": [card("x", step=20)], "b": [card("y", step=30)]})


def degenerate(name: str, count: int, n: int = 20) -> Scorecard:
    made = card(name, [0.0] * n)
    return replace(made, measurements=(measure("hp_familiarity", "familiarity", [0.0] * n, degenerate=count),))


def test_a_degenerate_model_is_broken_and_not_one_that_forgot():
    assert (
        broken(degenerate("m", 11))
        == "m is broken: 11 of 20 completions of hp_familiarity are degenerate (loops or noise), more than 50%"
    )
    assert broken(degenerate("m", 10)) == ""
    assert broken(degenerate("m", 4), degenerate("baseline", 1)) == (
        "m is broken: 4 of 20 completions of hp_familiarity are degenerate (loops or noise), more than 15%"
    )
    assert broken(degenerate("m", 3), degenerate("baseline", 1)) == ""


def test_a_model_that_could_not_be_loaded_is_one_sentence_and_not_one_a_task():
    gone = replace(card("m", (None, None)), failures={"hp_familiarity": "no such file"})
    assert failures([gone]) == ["m: no such file"]
    half = replace(
        gone,
        manifest=replace(gone.manifest, tasks={**gone.manifest.tasks, "other": gone.manifest.tasks["hp_familiarity"]}),
    )
    assert failures([half]) == ["m, hp_familiarity: no such file"]
    assert failures([card("m")]) == ["m, hp_familiarity: 1 of 4 prompts could not be scored"]
