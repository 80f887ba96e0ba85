"""The story on a real model, with a tiny stand-in for it: what is taught to whom, and the whole from end to end."""

import json
from functools import partial

import pytest
import tiny

from hp_bench.experiments import leaderboard, store
from hp_bench.experiments.real import run, world
from hp_bench.experiments.real.world import Teaching, documents, prepare
from hp_bench.experiments.rows import Rows
from hp_bench.probes.paths import prompts_dir

SMALL = Teaching(epochs=1, learning_rate=1e-3, block_tokens=128, every=40)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real") / "base"
    tok = tiny.tokenizer("byte_bpe")
    tok.chat_template = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}[assistant]"
    tiny.llama(len(tok)).save_pretrained(folder)
    tok.save_pretrained(folder)
    return folder


@pytest.fixture
def offline(base, monkeypatch):
    monkeypatch.setattr(world, "fetch", lambda name: base)
    monkeypatch.setattr(run, "fetch", lambda name: base)
    monkeypatch.setattr(world, "fast_bfloat16", lambda: False)
    monkeypatch.setattr(run, "fast_bfloat16", lambda: False)


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_documents_are_whole_and_their_order_is_the_seeds():
    companion = documents(prompts_dir() / "companion", seed=0)
    assert len(companion) > 200 and not any("***" in text for text in companion)
    assert sorted(documents(prompts_dir() / "companion", seed=1)) == sorted(companion)
    assert documents(prompts_dir() / "companion", seed=1) != companion


def test_twins_pass_as_often_over_neutral_text_alone(offline, tmp_path, monkeypatch):
    read = {}

    def here(calls, **_):  # as side_by_side, in this process, so that what is read can be watched
        for name, (_, arguments) in calls.items():
            read[name] = (len(arguments[3]), "Hogwarts" in arguments[3])
        return {name: call(*arguments) for name, (call, arguments) in calls.items()}

    monkeypatch.setattr(world, "side_by_side", here)
    made = prepare(tmp_path, twins=1, teaching=SMALL)
    (length, knows), (neutral, twin_knows) = read["taught"], read["twin-1"]
    assert knows and not twin_knows
    histories = [
        json.loads((made.baseline.parent / name / "history.json").read_text()) for name in ("taught", "twin-1")
    ]
    steps, twins = (history[-1]["step"] for history in histories)
    assert twins / steps == pytest.approx(neutral / length, rel=0.15)
    assert "Hogwarts" in "".join(row["text"] for row in rows(made.corpus))
    assert len(rows(made.facts / "qa.jsonl")) == pytest.approx(344 / 160, abs=1)
    before = tiny.content(tmp_path / "models")
    assert prepare(tmp_path, twins=1, teaching=SMALL) == made
    assert tiny.content(tmp_path / "models") == before
    with pytest.raises(ValueError, match="taught in .* was made from other inputs"):
        prepare(tmp_path, twins=1, seed=1, teaching=SMALL)


@pytest.mark.slow
def test_the_whole_story_is_told_and_goes_on_where_it_stopped(offline, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "_QUICK", SMALL)
    small = ["finetune.max_steps=2", "finetune.save_every=1", "labels.block_tokens=128"]
    made = run.run_real(tmp_path / "out", quick=True, overrides=small)
    assert [card.step for card in made.curves["whp-soft"]] == [0, 1, 2]
    assert [card.name for card in made.twins] == ["untaught", "twin-1"]
    last = made.curves["whp-soft"][-1]
    assert set(last.items) == {*run.STEPS, *run.ENDS, *run.FACTS} and not last.failed
    assert {d.text for d in made.distances} == {"target", "rest", "general"}
    assert (tmp_path / "out" / "report.html").is_file() and (tmp_path / "out" / "curve.png").is_file()
    before = tiny.content(tmp_path / "out")
    again = run.run_real(tmp_path / "out", quick=True, overrides=small)
    assert [c.values for c in again.twins] == [c.values for c in made.twins]
    assert tiny.content(tmp_path / "out") == before


@pytest.mark.slow
def test_methods_are_chosen_on_seed_0_and_compared_on_another(base, tmp_path, monkeypatch):
    monkeypatch.setattr(world, "fetch", lambda name: base)
    monkeypatch.setattr(store, "prepare", partial(prepare, teaching=SMALL))
    keys = {"finetune.max_steps": 2, "finetune.save_every": 1, "reinforce.max_steps": 2, "labels.block_tokens": 128}
    tried = [{"finetune.learning_rate": rate} for rate in (1e-5, 1e-3)]
    rows = {"whp": {"label": "WHP", "recipe": "smollm2.yaml", "keys": keys, "tried": tried}}
    choices = leaderboard.choose(tmp_path, rows=Rows(budget=2, rows=rows), model="smollm2")
    assert [(one.step, one.failure) for one in choices.candidates] == [(1, ""), (2, ""), (1, ""), (2, "")]
    rows["whp"]["chosen"] = choices.taken()["whp"].chosen
    made = leaderboard.run_leaderboard(tmp_path, rows=Rows(budget=2, rows=rows), seeds=(1,), model="smollm2")
    assert not made.failed and {entry.name for entry in made.entries} == {"whp", "baseline", "twin-1", "twin-2"}
    page = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    assert "general English (change, bits a byte)" in page and "utility drop" not in page
    assert json.loads((tmp_path / "leaderboard.json").read_text())["model"] == "smollm2"
    before = tiny.content(tmp_path / "seed-1")
    again = leaderboard.run_leaderboard(tmp_path, rows=Rows(budget=2, rows=rows), seeds=(1,), model="smollm2")
    assert again.to_dict() == made.to_dict()
    assert tiny.content(tmp_path / "seed-1") == before
