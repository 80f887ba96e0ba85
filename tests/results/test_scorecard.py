"""Scorecards: what is written is what was known, a file that exists is whole, and unscored never counts as forgotten."""

import dataclasses
import json
import math
from pathlib import Path

import pytest

from hp_bench.results.scorecard import (
    Difference,
    Manifest,
    Measurement,
    Scorecard,
    TaskManifest,
    difference,
    measure,
    measure_group,
    to_json,
)
from hp_bench.results.statistics import familiarity_interval, mcnemar, rate_interval


def card(name: str = "baseline", familiarity=(5.0, 1.0, 0.0, None), ids=None, failures=None, step=None) -> Scorecard:
    values = {
        "familiarity": list(familiarity),
        "explicit": [None if value is None else float(value == 5) for value in familiarity],
    }
    ids = ids or [f"p{number}" for number in range(len(familiarity))]
    tasks = {"hp_familiarity": TaskManifest(version="1", n=len(ids), prompts_sha256="ab", judge="lexicon-v1-x")}
    return Scorecard(
        name=name,
        step=step,
        measurements=tuple(measure("hp_familiarity", m, v, degenerate=0) for m, v in values.items()),
        items={"hp_familiarity": ids},
        values={"hp_familiarity": values},
        manifest=Manifest(model="m/Élodie", engine="hf", dtype="float32", tasks=tasks, versions={"torch": "2"}),
        failures=failures or {},
    )


def as_json(scorecard: Scorecard) -> dict:
    return json.loads(json.dumps(dataclasses.asdict(scorecard)))


@pytest.mark.parametrize(
    "original", [card(step=20), card(familiarity=(None, None), failures={"hp_familiarity": "died"})]
)
def test_a_scorecard_read_back_is_the_one_written(tmp_path, original):
    path = original.save(tmp_path / "deep" / "down" / "card.json")
    loaded = Scorecard.load(path)
    assert as_json(loaded) == as_json(original)
    assert loaded.measurements == original.measurements
    assert loaded.manifest == original.manifest
    assert loaded.failed == original.failed
    again = loaded.save(tmp_path / "again.json")
    assert again.read_bytes() == path.read_bytes()


def test_nan_is_never_written(tmp_path):
    path = card().save(tmp_path / "card.json")
    before = path.read_bytes()
    assert b"NaN" not in before
    broken = dataclasses.replace(card(), values={"hp_familiarity": {"familiarity": [math.nan] * 4}})
    with pytest.raises(ValueError):
        broken.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["card.json"]


def test_saving_leaves_the_finished_file_alone_in_its_folder(tmp_path):
    card().save(tmp_path / "card.json")
    card(name="other").save(tmp_path / "card.json")
    assert Scorecard.load(tmp_path / "card.json").name == "other"
    assert [file.name for file in tmp_path.iterdir()] == ["card.json"]


@pytest.mark.parametrize("operation", ["write_text", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, operation):
    path = card().save(tmp_path / "card.json")
    before = path.read_bytes()
    real = getattr(Path, operation)

    def half(self, *arguments, **options):
        if operation == "write_text":
            real(self, arguments[0][:50], **options)
        raise OSError("disk full")

    monkeypatch.setattr(Path, operation, half)
    with pytest.raises(OSError, match="disk full"):
        card(name="other").save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["card.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": 99}', '{"format": 1, "name": "x"}'])
def test_a_file_that_is_no_scorecard_is_refused_by_name(tmp_path, content):
    path = tmp_path / "card.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"card\.json' is not a scorecard"):
        Scorecard.load(path)


@pytest.mark.parametrize(
    "unscored, n, failed",
    [(0, 300, False), (3, 300, False), (4, 300, True), (1, 99, True), (1, 100, False), (4, 4, True)],
)
def test_more_than_one_percent_unscored_is_a_failed_run(unscored, n, failed):
    assert card(familiarity=[None] * unscored + [0.0] * (n - unscored)).failed is failed


def test_a_task_that_broke_off_is_a_failed_run():
    assert card(familiarity=(0.0,), failures={"hp_token_probability": "RuntimeError: gone"}).failed


def test_a_measurement_is_of_the_scored_prompts_and_counts_the_others():
    found = measure("hp_familiarity", "familiarity", [5.0, None, 1.0, 0.0], degenerate=2)
    interval = familiarity_interval(1, 1, 3)
    assert found == Measurement("hp_familiarity", "familiarity", 2.0, interval.low, interval.high, 3, 1, 2)


def test_nothing_scored_has_no_value_and_no_interval():
    found = measure("hp_familiarity", "familiarity", [None, None])
    assert (found.value, found.low, found.high, found.n, found.unscored) == (None, None, None, 0, 2)
    with pytest.raises(ValueError, match="nothing was scored"):
        _ = found.interval


def test_a_group_is_the_unweighted_mean_of_its_tasks():
    members = [measure("a", "acc", [1.0, 0.0]), measure("b", "acc", [1.0] * 30)]
    group = measure_group("g", "acc", members)
    assert group.value == 0.75
    assert group.low < 0.75 < group.high
    assert group.n == 32


def test_a_group_with_an_unscored_task_has_no_value():
    group = measure_group("g", "acc", [measure("a", "acc", [1.0]), measure("b", "acc", [None, None])])
    assert (group.value, group.n, group.unscored) == (None, 1, 2)


def test_a_number_that_is_not_there_is_asked_for_in_vain_by_name():
    assert card().get("hp_familiarity", "explicit").value == pytest.approx(1 / 3)
    with pytest.raises(KeyError, match="has no 'acc' of 'hp_familiarity'; it has hp_familiarity familiarity, "):
        card().get("hp_familiarity", "acc")


def test_a_difference_pairs_the_prompts_that_both_have_scored():
    a, b = card("a", (5.0, 5.0, 0.0, None, 0.0)), card("b", (0.0, 5.0, None, 5.0, 0.0))
    found = difference(a, b, "hp_familiarity", "explicit")
    assert isinstance(found, Difference)
    assert (found.n, found.unpaired) == (3, 2)
    assert found.value == pytest.approx(1 / 3)
    assert found.low < found.value < found.high
    assert found.p == mcnemar([1, 1, 0], [0, 1, 0])
    assert difference(b, a, "hp_familiarity", "explicit").value == pytest.approx(-1 / 3)


def test_the_difference_of_two_equal_models_is_zero_with_a_width():
    values = (5.0, 0.0) * 10
    found = difference(card("a", values), card("b", values), "hp_familiarity", "familiarity")
    assert (found.value, found.p) == (0.0, 1.0)
    assert found.low < -0.5
    assert found.high > 0.5
    assert rate_interval(0, 20).high * 5 == pytest.approx(found.high)


@pytest.mark.parametrize("ids", [["p0", "p1", "p2", "q"], ["p1", "p0", "p2", "p3"]])
def test_models_asked_different_prompts_are_not_compared(ids):
    with pytest.raises(ValueError, match="a and b were asked different prompts in hp_familiarity"):
        difference(card("a"), card("b", ids=ids), "hp_familiarity", "familiarity")


def test_models_with_no_scored_prompt_in_common_are_not_compared():
    with pytest.raises(ValueError, match="no prompt of hp_familiarity that both scored"):
        difference(card("a", (5.0, None)), card("b", (None, 5.0)), "hp_familiarity", "familiarity")


def test_the_json_for_the_command_line_has_no_values_of_single_prompts():
    (found,) = to_json(card())
    assert {"name", "measurements", "manifest", "failures"} <= set(found)
    assert not {"items", "values"} & set(found)
