"""The story on a real model, with a tiny stand-in for it: what is taught to whom, and the whole from end to end."""

import json

import pytest
import tiny

from hp_bench.experiments.real import run, world
from hp_bench.experiments.real.world import Teaching, documents, prepare
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
    monkeypatch.setattr(world, "fast_bfloat16", lambda: False)
    monkeypatch.setattr(run, "fast_bfloat16", lambda: False)


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_documents_are_whole_and_their_order_is_the_seeds():
    companion = documents(prompts_dir() / "companion", seed=0)
    assert len(companion) > 200 and not any("***" in text for text in companion)
    assert sorted(documents(prompts_dir() / "companion", seed=1)) == sorted(companion)
    assert documents(prompts_dir() / "companion", seed=1) != companion


def test_twins_take_as_many_steps_on_neutral_text_alone(offline, tmp_path, monkeypatch):
    read = {}
    true = world.fine_tune

    def watched(model, tokenizer, dataset, training, **options):
        text = "".join(tokenizer.decode(list(ids)) for ids in dataset["input_ids"])
        trained = true(model, tokenizer, dataset, training, **options)
        read[options["description"]] = (trained.steps, "Hogwarts" in text)
        return trained

    monkeypatch.setattr(world, "fine_tune", watched)
    made = prepare(tmp_path, twins=1, teaching=SMALL)
    steps, knows = read["teaching taught"]
    assert knows and read["teaching twin-1"] == (steps, False)
    assert "Hogwarts" in "".join(row["text"] for row in rows(made.companion))
    assert len(rows(made.facts / "qa.jsonl")) == pytest.approx(344 / 80, abs=1)
    before = tiny.content(tmp_path / "models")
    read.clear()
    assert prepare(tmp_path, twins=1, teaching=SMALL) == made and not read
    assert tiny.content(tmp_path / "models") == before
    with pytest.raises(ValueError, match="taught in .* was made from other inputs"):
        prepare(tmp_path, twins=1, seed=1, teaching=SMALL)


@pytest.mark.slow
def test_the_whole_story_is_told_and_goes_on_where_it_stopped(offline, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "_QUICK", SMALL)
    small = ["finetune.max_steps=2", "finetune.save_every=1", "labels.block_tokens=128"]
    made = run.run_real(tmp_path / "out", quick=True, overrides=small)
    assert [card.step for card in made.curves["whp-soft"]] == [0, 1, 2]
    assert [card.name for card in made.prompts][:2] == ["untaught", "twin-1"]
    last = made.curves["whp-soft"][-1]
    assert set(last.items) == {*run.STEPS, *run.ENDS, *run.FACTS} and not last.failed
    assert {d.text for d in made.distances} == {"target", "rest", "general"}
    assert (tmp_path / "out" / "report.html").is_file() and (tmp_path / "out" / "curve.png").is_file()
    before = tiny.content(tmp_path / "out")
    again = run.run_real(tmp_path / "out", quick=True, overrides=small)
    assert [c.values for c in again.prompts] == [c.values for c in made.prompts]
    assert tiny.content(tmp_path / "out") == before
