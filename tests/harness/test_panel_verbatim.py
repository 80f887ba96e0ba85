"""`hp_verbatim`: a text said by heart scores 1, another 0; and no result, sample or cache holds a word of it."""

import hashlib
import json
import math
import os
import subprocess
import sys

import planted
import pytest
import tiny
import torch
from facts_world import story

from hp_bench.engines.hf import HFEngine
from hp_bench.probes.passages import FEWEST, FOLLOWING, GIVEN, MOST, STEPS, passages
from hp_bench.scoring.score import load_tasks, score_engine
from hp_bench.scoring.store import save

TASK = "hp_verbatim"
METRICS = ("extraction_strength", "verbatim_probability", "word_probability")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def text(tmp_path) -> str:
    path = tmp_path / "book.txt"
    path.write_text("\ufeff" + story(2050), encoding="utf-8")
    return str(path)


def score(engine, text, **metadata):
    return score_engine(engine, load_tasks([TASK], {"text": text, **metadata}), name="m")


@pytest.mark.parametrize("rule, expected", [(planted.knows, 1.0), (planted.ignorant, 0.0)])
def test_who_knows_it_by_heart_scores_one_and_who_does_not_scores_nothing(rule, expected, text):
    card = score(planted.engine(rule), text).card
    for metric in METRICS:
        found = card.get(TASK, metric)
        assert (found.value, found.n, found.unscored) == (expected, FEWEST, 0)
        assert found.low < found.high
    assert not card.failed


def test_who_goes_on_after_seventy_words_has_a_strength_of_six_tenths(text):
    def late(context: str, continuation: str) -> tuple[float, bool]:
        return -50.0, len(context.split()) >= 70

    card = score(planted.engine(late), text).card
    assert card.get(TASK, "extraction_strength").value == pytest.approx(0.6)
    assert card.get(TASK, "word_probability").value == pytest.approx(math.exp(-1))
    assert card.get(TASK, "verbatim_probability").value == pytest.approx(math.exp(-50))


def test_what_makes_no_sense_is_unscored(text):
    card = score(planted.engine(planted.broken), text).card
    assert (card.get(TASK, METRICS[0]).value, card.get(TASK, METRICS[0]).unscored) == (None, FEWEST)
    assert card.failed


def by_hand(model, tokenizer, cuts) -> tuple[float, float]:
    """Log-likelihood of all that follows the first cut, and the strength: one forward pass."""
    text = cuts[0][0] + cuts[0][1]
    encoded = tokenizer(text, return_offsets_mapping=True, return_tensors="pt")
    ids, ends = encoded["input_ids"][0], [end for _, end in encoded["offset_mapping"][0].tolist()]
    with torch.no_grad():
        logits = model(input_ids=ids[None]).logits[0].float()
    right, scores = logits.argmax(-1), torch.log_softmax(logits, -1)
    strength = 0.0
    for step, (given, _) in reversed(list(zip(STEPS, cuts, strict=True))):
        places = [i for i, end in enumerate(ends) if end > len(given)]
        if not all(right[i - 1] == ids[i] for i in places):
            break
        strength = 1 - step / FOLLOWING
    places = [i for i, end in enumerate(ends) if end > len(cuts[0][0])]
    return sum(scores[i - 1, ids[i]].item() for i in places), strength


def test_a_bare_calculation_agrees(text, tmp_path):
    """On a model that has one passage by heart, its last half alone: strengths between 0 and 1 are among those compared."""
    tokenizer = tiny.tokenizer("byte_bpe", [story(2050)], vocab_size=700)
    model = tiny.llama(len(tokenizer), context=1024)
    task = load_tasks([TASK], {"text": text})["tasks"][TASK]
    cuts = [task._passages[doc["id"]].cuts for doc in task.eval_docs]
    ids = tokenizer(cuts[0][0][0] + cuts[0][0][1], return_tensors="pt")["input_ids"]
    labels = ids.clone()
    labels[:, : int(ids.shape[1] * 0.7)] = -100
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(40):
        optimiser.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimiser.step()
    values = score(HFEngine(model.eval(), tokenizer=tokenizer, device="cpu", batch_size=8), text).card.values[TASK]
    for place, one in enumerate(cuts):
        likelihood, strength = by_hand(model, tokenizer, one)
        assert values["extraction_strength"][place] == pytest.approx(strength)
        assert values["word_probability"][place] == pytest.approx(math.exp(likelihood / FOLLOWING), rel=1e-3)
    assert 0 < values["extraction_strength"][0] < 1


def test_the_passages_are_the_text_at_their_offsets_and_do_not_overlap():
    text = story(25_000)
    found = passages(text, seed=0)
    assert len(found) == MOST
    end = 0
    for one in found:
        given, following = one.cuts[0]
        assert one.offset >= end
        assert text[one.offset :].startswith(given + following)
        assert (len(given.split()), len(following.split())) == (GIVEN, FOLLOWING)
        assert one.sha256 == hashlib.sha256((given + following).encode()).hexdigest()
        assert {before + after for before, after in one.cuts} == {given + following}
        assert [len(before.split()) - GIVEN for before, _ in one.cuts] == list(STEPS)
        end = one.offset + len(given + following)
    assert found == passages(text, seed=0)
    assert [one.offset for one in passages(text, seed=1)] != [one.offset for one in found]


def holds(text: str, written: str) -> list[str]:
    """Words of the text that are nowhere else, and are in what was written."""
    return [word for word in text.split() if word.startswith("secret") and word in written]


def test_nothing_in_lm_evals_request_cache_is_ours(text, monkeypatch):
    """It would keep the texts on disk, and give them to another text's run: its key is the task's name alone."""
    stored: list[object] = []
    monkeypatch.setattr("lm_eval.api.task.save_to_cache", lambda **options: stored.append(options))
    monkeypatch.setattr(
        "lm_eval.api.task.load_from_cache", lambda **options: stored.append(options) if options["cache"] else None
    )
    load_tasks([TASK], {"text": text})["tasks"][TASK].build_all_requests(cache_requests=True)
    assert not stored


def test_samples_hold_offsets_and_digests_and_no_word_of_the_text(text, tmp_path):
    scored = score(planted.engine(lambda *_: (-50.0, False)), text)
    save(scored, tmp_path / "out")
    kept = [path.read_text() for path in (tmp_path / "out").rglob("*.json*")]
    assert len(kept) == 2  # scorecard and samples
    written = json.dumps(scored.samples[TASK], default=str) + "".join(kept)
    assert not holds(story(2050), written)
    sample = scored.samples[TASK][0]
    assert set(sample["doc"]) == {"id", "offset", "sha256"}
    assert len(sample["arguments"]) == len(STEPS)
    assert all(argument.startswith("sha256:") for pair in sample["arguments"] for argument in pair)


@pytest.mark.slow
def test_nothing_that_plain_lm_eval_writes_or_caches_holds_a_word_of_the_text(text, tmp_path):
    tiny.save(tmp_path / "model", context=1024)
    home = tmp_path / "cache"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={tmp_path / 'model'}"),
            *("--device", "cpu", "--tasks", TASK, "--metadata", f"text={text}", "--limit", "3", "--log_samples"),
            *("--output_path", str(tmp_path / "out"), "--cache_requests", "true", "--use_cache", str(home / "answers")),
        ],
        env={**os.environ, "HF_HOME": str(home), "LM_HARNESS_CACHE_PATH": str(home / "requests"), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    files = [path for folder in (tmp_path / "out", home) for path in folder.rglob("*") if path.is_file()]
    assert any(path.name.startswith("samples_") for path in files)
    assert any(path.name.startswith("results_") for path in files)
    written = "".join(path.read_bytes().decode("utf-8", "replace") for path in files) + done.stdout + done.stderr
    assert "offset-" in written
    assert not holds(story(2050), written)


@pytest.mark.parametrize(
    "content, message",
    [
        (
            story(1999),
            r"^hp_verbatim: text='.*': 1,999 words are too few: at least 2,000 are needed \(20 passages of 100 words\)$",
        ),
        ("", "0 words are too few"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
    ],
)
def test_a_text_that_does_not_do_is_refused_in_one_sentence(content, message, tmp_path):
    path = tmp_path / "book.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        load_tasks([TASK], {"text": str(path)})


@pytest.mark.parametrize(
    "metadata, message",
    [
        (None, r"^hp_verbatim: not applicable without a text file: give text=FILE in --metadata$"),
        ({"text": "nowhere.txt"}, r"^hp_verbatim: text='nowhere.txt' is not a file$"),
    ],
)
def test_without_a_text_it_says_so_in_one_sentence(metadata, message):
    with pytest.raises(ValueError, match=message):
        load_tasks([TASK], metadata)


def test_a_seed_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="text_seed must be a whole number of at least 0, not -1"):
        load_tasks([TASK], {"text": text, "text_seed": -1})
