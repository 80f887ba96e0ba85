"""Agreement of a judge with the gold set, against closed forms and published examples; and the command that prints it."""

import json
import math
import random
from itertools import product

import pytest
from scipy import stats
from typer.testing import CliRunner

from hp_bench.cli import app
from hp_bench.judges.agreement import SAID, agreement, as_probes, kappa, kappa_interval, load_gold
from hp_bench.judges.grades import GRADES
from hp_bench.probes.rows import Probe

E, T, A, N = GRADES


def test_kappa_of_a_table_worked_by_hand():
    """20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: observed .7, expected .5, kappa .4."""
    a = [E] * 25 + [N] * 25
    b = [E] * 20 + [N] * 5 + [E] * 10 + [N] * 15
    assert kappa(a, b) == pytest.approx(0.4)


@pytest.mark.parametrize(
    "a, b, value",
    [([E, N], [E, N], 1.0), ([E, N], [N, E], -1.0), ([E, E], [E, E], 1.0), ([E, E, N, N], [E, N, E, N], 0.0)],
)
def test_kappa_at_its_ends(a, b, value):
    assert kappa(a, b) == pytest.approx(value)


def test_a_kappa_interval_is_near_the_textbook_standard_error_and_the_same_every_time():
    rng = random.Random(0)
    a = [rng.choice(GRADES) for _ in range(400)]
    b = [grade if rng.random() < 0.8 else rng.choice(GRADES) for grade in a]
    interval = kappa_interval(a, b)
    observed, expected = sum(x == y for x, y in zip(a, b, strict=True)) / 400, 0.25
    half = 1.96 * math.sqrt(observed * (1 - observed) / 400) / (1 - expected)
    assert interval == kappa_interval(a, b)
    assert interval.low == pytest.approx(kappa(a, b) - half, abs=0.015)
    assert interval.high == pytest.approx(kappa(a, b) + half, abs=0.015)


@pytest.mark.parametrize(
    "a, b", [([E] * 30, [E] * 30), ([E, N] * 15, [E, N] * 15), ([E, N] * 15, [N, E] * 15), ([E], [E]), ([E], [N])]
)
def test_no_kappa_interval_is_without_width(a, b):
    interval = kappa_interval(a, b)
    assert -1 <= interval.low <= kappa(a, b) <= interval.high <= 1
    assert interval.high - interval.low > 0.05


def test_perfect_agreement_reaches_down_to_what_may_be_unseen():
    interval = kappa_interval([E, N] * 50, [E, N] * 50)
    assert interval.high == 1
    assert interval.low == pytest.approx((0.025 ** (1 / 100) - 0.5) / 0.5)


def test_precision_recall_and_matrix_of_a_judge():
    gold = [E] * 10 + [T] * 4 + [N] * 6
    said = [E] * 8 + [T, None] + [T] * 3 + [E] + [N] * 6
    found = agreement("j", gold, said, ids=[f"g{n}" for n in range(20)], cases=["plain"] * 20)
    assert found.confusion[E] == {E: 8, T: 1, A: 0, N: 0, "unscored": 1}
    assert sum(sum(row.values()) for row in found.confusion.values()) == found.n == 20
    assert (found.precision[E].value, found.recall[E].value) == (8 / 9, 8 / 10)
    assert (found.precision[A].value, found.precision[A].n, found.recall[A].low) == (None, 0, None)
    wilson = stats.binomtest(8, 10).proportion_ci(0.95, method="wilson")
    assert (found.recall[E].low, found.recall[E].high) == pytest.approx((wilson.low, wilson.high))
    assert found.accuracy.value == 17 / 20
    assert found.unscored == 1
    assert [(d.id, d.gold, d.judge) for d in found.disagreements] == [
        ("g8", E, T),
        ("g9", E, "unscored"),
        ("g13", T, E),
    ]


def test_a_judge_that_is_silent_where_it_would_be_wrong_gains_nothing():
    gold = [E] * 50 + [N] * 50
    wrong = [E] * 40 + [N] * 10 + [N] * 50
    silent = [E] * 40 + [None] * 10 + [N] * 50
    assert agreement("j", gold, silent).recall[E] == agreement("j", gold, wrong).recall[E]
    assert agreement("j", gold, silent).kappa < 0.9


def test_lists_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="2 gold grades and 1 of the judge"):
        agreement("j", [E, N], [E])


ROW = {
    "id": "g1",
    "prompt": "At the harbour stood",
    "completion": " a lamp.",
    "grade": "none",
    "case": "plain",
    "split": "tuning",
}


def gold_file(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_gold_rows_are_read_by_half_and_take_the_references_of_their_prompts(tmp_path):
    rows = [ROW | {"grades": ["none", "accidental"], "source": "w1"}, ROW | {"id": "g2", "split": "test"}, ROW | {"id": "g3", "prompt": "In the tower stood"}]  # fmt: skip
    path = gold_file(tmp_path / "gold.jsonl", rows)
    assert [row.id for row in load_gold(path)] == ["g1", "g2", "g3"]
    assert [row.id for row in load_gold(path, "test")] == ["g2"]
    known = Probe("p", ROW["prompt"], ("Nora Quill",), "partial", 3, "x")
    first, _, other = as_probes(load_gold(path), [known])
    assert first is known
    assert other.prompt == "In the tower stood"


@pytest.mark.parametrize(
    "rows, message",
    [
        ([ROW, ROW], "line 2: id 'g1' is that of line 1 already"),
        ([ROW | {"grade": "maybe"}], "line 1: not a gold row: grade"),
        ([ROW | {"split": "train"}], "line 1: not a gold row: split"),
        ([ROW | {"intended": "none"}], "line 1: not a gold row: unknown is intended"),
        ([ROW | {"split": "test"}], "holds no rows of split 'tuning'"),
        ([], "is empty"),
    ],
)
def test_a_wrong_gold_file_is_one_clear_sentence(tmp_path, rows, message):
    with pytest.raises(ValueError) as caught:
        load_gold(gold_file(tmp_path / "gold.jsonl", rows), "tuning")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def gold(tmp_path):
    """Eight completions that the lexicon judge grades right, and one that it cannot."""
    told = [(" Hogwarts, said Hermione.", E), (" a wizard with a wand.", T), (" Harry.", A), (" a lamp.", N)] * 2
    rows = [
        ROW | {"id": f"g{n}", "completion": text, "grade": grade, "grades": [grade, grade]}
        for n, (text, grade) in enumerate(told)
    ]
    rows.append(
        ROW | {"id": "g8", "completion": " the school of the lightning-scarred boy.", "grade": E, "case": "paraphrase"}
    )
    return gold_file(tmp_path / "gold.jsonl", rows)


def test_the_command_prints_what_the_functions_compute(gold):
    done = CliRunner().invoke(app, ["judge", "--agreement", "lexicon", "--gold", str(gold), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["split"] == "tuning"
    assert found["judge"].startswith("lexicon-v")
    assert found["recall"][E]["value"] == pytest.approx(2 / 3)
    assert {word for row in found["confusion"].values() for word in row} == set(SAID)
    assert [(d["id"], d["case"]) for d in found["disagreements"]] == [("g8", "paraphrase")]
    assert found["kappa_low"] < found["kappa"] < found["kappa_high"]
    assert found["graders"]["kappa"] == 1.0
    assert "BCa" in found["method"]
    shown = CliRunner().invoke(app, ["judge", "--agreement", "lexicon", "--gold", str(gold)]).stdout
    assert f"Cohen's kappa {found['kappa']:.3f} [{found['kappa_low']:.3f}, {found['kappa_high']:.3f}]" in shown


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--agreement", "lexicon", "--split", "all"], "--split must be tuning or test, not 'all'"),
        (["--agreement", "lexicon", "--gold", "nowhere"], "'nowhere' cannot be read"),
        (["--agreement", "lexicon", "--set", "target"], "--set 'target' is not NAME=VALUE"),
        ([], "give files of completions to judge, or --agreement JUDGE"),
        (["x.jsonl", "--agreement", "lexicon"], "and not both"),
    ],
)
def test_a_users_mistake_is_one_sentence(arguments, message):
    done = CliRunner().invoke(app, ["judge", *arguments])
    assert isinstance(done.exception, ValueError)
    assert message in str(done.exception)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_grades_are_compared_without_a_warning(n):
    for theirs in product(("explicit", "none"), repeat=n):
        for ours in product(("explicit", "thematic", "none"), repeat=n):
            found = agreement("j", theirs, ours)
            assert -1 <= found.kappa_low <= found.kappa <= found.kappa_high <= 1
            assert found.kappa_low < found.kappa_high
