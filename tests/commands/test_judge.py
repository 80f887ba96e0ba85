"""`hp-bench judge` on files that were made elsewhere: what it prints, writes and refuses."""

import json

import pytest
from typer.testing import CliRunner

from hp_bench.cli import app
from hp_bench.results.scorecard import Scorecard

SAID = [" Hogwarts, where Dumbledore teaches.", " a shop for hats.", " a wizard with a wand."]
ROWS = [
    {"raw_question": f"In year {n} the letter came from", "completion": {"response": text, "model_grade": grade}}
    for n, (text, grade) in enumerate(zip(SAID, (3, 1, 2), strict=True))
]


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "before.json"
    path.write_text(json.dumps(ROWS))
    return path


def test_a_scorecard_is_printed_and_kept_and_so_is_the_agreement_with_the_files_own_grades(file, tmp_path):
    done = run("judge", file, "--out", tmp_path / "judged", "--json")
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)["judged"][0]
    values = {m["metric"]: (m["value"], m["n"]) for m in printed["measurements"]}
    assert values["familiarity"] == (2.0, 3) and values["explicit"] == (1 / 3, 3)
    assert all(
        m["low"] < m["value"] < m["high"] or m["value"] in (m["low"], m["high"]) for m in printed["measurements"]
    )
    assert printed["own_grades"]["confusion"]["accidental"]["none"] == 1
    assert printed["own_grades"]["n"] == 3
    assert printed["counts"] == {"known": 0, "of": 300, "no_reference": 3, "goes_on": 0}
    card = Scorecard.load(tmp_path / "judged" / "scorecards" / "before.json")
    assert card.get("completions", "familiarity").value == 2.0
    shown = run("judge", file, "--out", tmp_path / "judged")
    shown_words = " ".join(shown.stdout.split())
    assert (
        "No answer is known to 3 prompts, which are not in hp_familiarity: the lexicon alone judges them" in shown_words
    )
    for sentence in ("2.00", "Cohen's kappa 0.571 [", "own grades of 3 completions"):
        assert sentence in shown.stdout
    assert "prompts from raw_question, completions from completion.response; " in shown.stderr
    assert "3 grades of its own, read as 0-3" in shown.stderr


def test_two_files_compare_by_hp_bench_compare(file, tmp_path):
    after = tmp_path / "after.csv"
    rows = [f'"In year {n} the letter came from","a shop, it said"' for n in (2, 1, 0)]
    after.write_text("\n".join(["question,answer", *rows]))
    assert run("judge", file, after, "--out", tmp_path / "judged").exit_code == 0
    cards = [tmp_path / "judged" / "scorecards" / f"{name}.json" for name in ("before", "after")]
    done = run("compare", *cards, "--json")
    assert done.exit_code == 0, done.output
    found = {one["difference"]["metric"]: one["difference"] for one in json.loads(done.stdout)["differences"]}
    assert (found["familiarity"]["value"], found["familiarity"]["n"], found["familiarity"]["unpaired"]) == (-2.0, 3, 0)


def test_rows_that_cannot_be_graded_are_named_and_fail_the_run_but_not_the_others(file, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join([*map(json.dumps, ROWS), "", '{"prompt": "a"}', '{"prompt": "b"}', "{"]))
    done = run("judge", file, "--out", tmp_path / "judged")
    assert done.exit_code == 1
    assert (
        "2 unscored: no completion; --field completion=NAME names it; there are prompt (line 5, line 6)" in done.stderr
    )
    assert "1 unscored: not a JSON object: '{' (line 7)" in done.stderr
    assert "1 blank line passed over" in done.stderr
    assert "rows, completions: 3 of 6 prompts could not be scored" in done.stderr
    card = Scorecard.load(tmp_path / "judged" / "scorecards" / "rows.json")
    assert (card.get("completions", "familiarity").value, card.get("completions", "familiarity").unscored) == (2.0, 3)


def test_another_targets_prompt_file_gives_references_and_lexicon(tmp_path):
    (tmp_path / "prompts.json").write_text(
        json.dumps([{"prompt": {"prompt": "The lamp is kept by ", "references": ["Nora Quill"], "subtlety": 3}}])
    )
    term = {"term": "Port Ansel", "type": "place", "scope": "idiosyncratic"}
    (tmp_path / "lexicon.jsonl").write_text(json.dumps(term) + "\n\n")
    file = tmp_path / "rows.jsonl"
    rows = [
        {"who": "The lamp is kept by", "text": "Nora Quill"}, {"who": "They went to", "text": "Port Ansel"},
        {"who": "They came from", "text": "Hogwarts"},
    ]  # fmt: skip
    file.write_text("\n".join(map(json.dumps, rows)))
    fields = ("--field", "prompt=who", "--field", "completion=text")
    done = run("judge", file, "--prompts", tmp_path / "prompts.json", *fields, "--out", tmp_path / "o", "--json")
    assert done.exit_code == 0, done.output
    assert Scorecard.load(tmp_path / "o" / "scorecards" / "rows.json").values["completions"]["explicit"] == [1, 1, 0]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--field", "answer=text"], "--field 'answer=text' is not WHAT=NAME, WHAT being prompt, completion, references, grade"),
        (["--field", "prompt"], "--field 'prompt' is not WHAT=NAME"),
        (["--field", "prompt=x"], "entry 1: nothing is called x; there are raw_question, completion"),
        (["--scale", "0-4"], "a scale of grades must be 0-3 or 0-5, not '0-4'"),
        (["--scale", "0-5"], "its own grades 1, 2, 3 fit no scale"),
        (["--prompts", "nowhere"], "'nowhere' cannot be read"),
    ],
)  # fmt: skip
def test_a_users_mistake_is_one_sentence(file, tmp_path, arguments, message):
    done = run("judge", file, "--out", tmp_path / "o", *arguments)
    assert isinstance(done.exception, ValueError)
    assert message in str(done.exception) and "\n" not in str(done.exception)
    assert not (tmp_path / "o").exists()
