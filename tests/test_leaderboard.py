"""The leaderboard: its rows, the rule by which settings are chosen, ties, distances."""

import pytest
import yaml

from hp_bench import leaderboard as board
from hp_bench.leaderboard_choice import Candidate, Choices, best
from hp_bench.leaderboard_measure import Number, RowScore
from hp_bench.leaderboard_rows import Rows
from hp_bench.leaderboard_table import Entry, Leaderboard, to_markdown
from unlearn.resources import recipes_dir

ROWS = recipes_dir() / "leaderboard.yaml"


def content():
    return yaml.safe_load(ROWS.read_text(encoding="utf-8"))


def written(path, changed):
    path.write_text(yaml.safe_dump(changed), encoding="utf-8")
    return path


def test_every_row_and_every_setting_of_it_is_a_recipe(tmp_path):
    rows = Rows.load(ROWS)
    recipes = board._check(rows.rows, tmp_path)
    assert set(recipes) == set(rows.rows) and len(rows.rows) == 17
    assert recipes["npo"].retain.corpus.endswith("text/rest.jsonl")
    assert {recipe.finetune.max_steps for name, recipe in recipes.items() if recipe.method != "whp"} >= {120}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.update(budget=5), "row ensemble: 4 settings were tried, not the 5 of budget"),
        (lambda c: c["rows"]["whp"].update(chosen={"finetune.learning_rate": 1e-4}), "names no step"),
        (
            lambda c: c["rows"]["whp"].update(chosen={"finetune.learning_rate": 7.0, "step": 120}),
            "none of the settings",
        ),
        (lambda c: c["rows"]["whp"].update(colour="red"), "colour"),
    ],
)
def test_a_mistake_in_the_rows_is_said_in_a_sentence(tmp_path, change, said):
    changed = content()
    change(changed)
    with pytest.raises(ValueError, match=said):
        Rows.load(written(tmp_path / "rows.yaml", changed))


def test_a_wrong_key_is_said_before_anything_is_trained(tmp_path):
    changed = content()
    changed["rows"]["npo"]["keys"]["options.gamma"] = 1
    rows = Rows.load(written(tmp_path / "rows.yaml", changed))
    with pytest.raises(ValueError, match=r"row npo, setting .*options\.gamma"):
        board.run_leaderboard(tmp_path / "out", rows=rows)
    assert not (tmp_path / "out").exists()


def candidate(step, familiarity, target, rest=0.0):
    return Candidate("x", {"a": 1}, step, familiarity, target, rest)


def test_the_nearest_of_those_that_have_forgotten_is_chosen():
    near_but_familiar, forgotten, farther = candidate(40, 0.51, 0.1), candidate(80, 0.5, 0.4), candidate(120, 0.0, 0.5)
    assert best([near_but_familiar, forgotten, farther], 5.0) is forgotten
    assert best([near_but_familiar, farther], 5.0) is farther
    assert best([near_but_familiar, candidate(40, 0.6, 0.0)], 5.0) is near_but_familiar
    assert best([Candidate("x", {}, failure="it died")], 5.0) is None


def test_candidates_tell_what_was_chosen_as_the_rows_file_has_it():
    choices = Choices(
        Candidate("baseline", {}, 0, 5.0, 1.0, 0.1),
        (candidate(40, 0.1, 0.3), Candidate("x", {"a": 2}, failure="it died")),
    )
    assert yaml.safe_load(choices.to_yaml()) == {"x": {"chosen": {"a": 1, "step": 40}}}
    assert "failed: it died" in choices.table() and choices.table().count("chosen") == 1


BETWEEN = {"kl_target": 0.05, "kl_rest": 0.01, "ks_target": 0.1, "ks_rest": 0.1}
NUMBERS = (
    "familiarity",
    "token_probability",
    "utility",
    "utility_drop",
    "rest_loss",
    "rest_change",
    "ks_target",
    "ks_rest",
)


def score(name, seed, target, rest=(0.1, 0.1, 0.1), failure=""):
    if failure:
        return RowScore(name, seed, "", failure=failure)
    numbers = {number: Number(float(seed)) for number in NUMBERS}
    numbers |= {"kl_target": Number(sum(target) / 3), "kl_rest": Number(sum(rest) / 3)}
    return RowScore(name, seed, "", numbers, {"target": target, "rest": rest}, BETWEEN)


def entry(name, *targets, failure=""):
    scores = [score(name, seed, target, failure=failure if seed == 2 else "") for seed, target in enumerate(targets, 1)]
    return Entry(name, f"method {name}", {"a": 1, "step": 40}, 40, tuple(scores))


def test_rows_are_sorted_and_a_small_or_uncertain_lead_is_a_tie():
    near = entry("near", (0.10, 0.12, 0.11), (0.10, 0.11, 0.12))
    close = entry("close", (0.14, 0.16, 0.15), (0.14, 0.15, 0.16))
    uncertain = entry("uncertain", (0.0, 0.0, 0.9), (0.0, 0.0, 0.9))
    far = entry("far", (0.50, 0.55, 0.52), (0.50, 0.52, 0.54))
    found = Leaderboard.of([far, uncertain, close, near])
    assert [one.name for one in found.entries] == ["near", "close", "uncertain", "far"]
    assert {one.other: one.tie for one in found.leads if one.text == "target"} == {
        "close": True,
        "uncertain": True,
        "far": False,
    }
    assert all(one.first == "near" for one in found.leads if one.text == "target")
    spread = near.spread("familiarity")
    assert (spread.mean, spread.smallest, spread.largest) == (1.5, 1.0, 2.0)


def test_a_failed_row_has_a_sentence_and_no_number():
    found = Leaderboard.of(
        [entry("dead", (0.1,) * 3, (0.1,) * 3, failure="it died"), entry("near", (0.2,) * 3, (0.2,) * 3)]
    )
    assert found.failed and [one.name for one in found.entries] == ["near", "dead"]
    row = found.to_dict()["rows"][1]
    assert row["numbers"] == {} and row["failure"] == "seed 2: it died"
    page = to_markdown(found, speeds={"near": 1234.5}, date="2026-11-22")
    line = next(line for line in page.splitlines() if line.startswith("| `dead`"))
    assert "failed: seed 2: it died" in line and not any(c.isdigit() for c in line.partition("it died")[2])
    assert "1,234" in page and "2026-11-22" in page
