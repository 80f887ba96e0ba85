"""`hp_verbatim`: every window of a text, against bare transformers; and no result, sample or cache holds a word of it."""

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
from hp_bench.engines.windows import Journal
from hp_bench.probes.passages import FOLLOWING, GIVEN, book_and_chapters, digest, openings, window_starts, window_words
from hp_bench.results.compare import incomparable
from hp_bench.results.likelihoods import at_least_once
from hp_bench.scoring.models import score as score_model
from hp_bench.scoring.score import load_tasks, score_engine
from hp_bench.scoring.store import save

TASK = "hp_verbatim"
WORDS = {"windows": "words"}
STRIDE = 500


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def text(tmp_path) -> str:
    path = tmp_path / "book.txt"
    path.write_text("\ufeff" + story(2050), encoding="utf-8")
    return str(path)


def score(engine, text, **metadata):
    return score_engine(engine, load_tasks([TASK], {"text": text, "stride": STRIDE, **metadata}), name="m")


def memorised(family: str, steps: int) -> HFEngine:
    """A tiny model that has three windows of the text by heart, in part: p_z between 0 and 1 are among those compared."""
    tokenizer = tiny.tokenizer(family, [story(2050)], vocab_size=700)
    model = tiny.llama(len(tokenizer), context=256)
    starts = window_starts(story(2050), stride=STRIDE)[2:5]
    ids = torch.tensor([tokenizer(story(2050)[start:])["input_ids"][:102] for start in starts])
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        optimiser.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimiser.step()
    return HFEngine(model.eval(), tokenizer=tokenizer, device="cpu", batch_size=8)


def by_hand(model, tokenizer, text: str) -> list[tuple[float, bool]]:
    """Log-likelihood of 50 tokens after 50, and whether all are the most probable ones, of every window: one bare forward pass each."""
    found = []
    begin = tokenizer("a")["input_ids"][: -len(tokenizer("a", add_special_tokens=False)["input_ids"])]
    place = 0
    while place < len(text) - 300:
        start = place
        while text[start].isspace() or (start > 0 and not text[start - 1].isspace()):
            start += 1
        ids = tokenizer(text[start:], add_special_tokens=False)["input_ids"][:100]
        if len(ids) < 100:
            ids = tokenizer(text, add_special_tokens=False)["input_ids"][-100:]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([begin + ids])).logits[0, -51:-1].double()
        scores = torch.log_softmax(logits, -1)[range(50), ids[50:]]
        found.append((scores.sum().item(), logits.argmax(-1).tolist() == ids[50:]))
        place += STRIDE
    return found


@pytest.mark.parametrize("family, steps", [("byte_bpe", 80), ("metaspace_bpe", 35)])
def test_a_bare_calculation_agrees_to_1e_5_in_every_window(family, steps, text):
    engine = memorised(family, steps)
    values = score(engine, text).card.values[TASK]
    expected = by_hand(engine.lm.model, engine.lm.tokenizer, story(2050))
    assert len(values["verbatim_probability"]) == len(expected) > 25
    for place, (log_likelihood, greedy) in enumerate(expected):
        p_z = math.exp(log_likelihood)
        assert values["verbatim_probability"][place] == pytest.approx(p_z, abs=1e-5)
        assert values["verbatim_token_probability"][place] == pytest.approx(math.exp(log_likelihood / 50), abs=1e-5)
        assert values["verbatim_greedy"][place] == greedy
        for name, least in (("001", 0.001), ("01", 0.01), ("1", 0.1), ("5", 0.5)):
            assert values[f"verbatim_above_{name}"][place] == (p_z > least)
        for n in (10, 100, 1000):
            for percent in (50, 90):
                needed = math.log(1 - percent / 100) / math.log1p(-p_z)  # samples to see it once with that probability
                assert values[f"discoverable_{n}_{percent}"][place] == (n >= needed)
        assert values["discoverable_1_90"][place] == (p_z >= 0.9)
    assert sum(values["verbatim_above_1"]) == 3, "there is something to agree about"


def test_at_least_once_by_multiplying_out():
    for p in (0.0, 1e-12, 0.01, 0.3, 1.0):
        for n in (1, 3, 10):
            missed = math.prod([1 - p] * n)
            assert at_least_once(p, n) == pytest.approx(1 - missed, abs=1e-15)
    assert at_least_once(1e-20, 1000) == pytest.approx(1e-17)


@pytest.mark.parametrize("rule, expected", [(planted.knows, 1.0), (planted.ignorant, 0.0)])
def test_in_words_who_knows_it_by_heart_scores_one_and_who_does_not_scores_nothing(rule, expected, text):
    card = score(planted.engine(rule), text, **WORDS).card
    assert len(card.values[TASK]) == 14
    for metric in card.values[TASK]:
        found = card.get(TASK, metric)
        assert (found.value, found.n, found.unscored) == (expected, len(window_starts(story(2050), stride=STRIDE)), 0)
        assert found.low < found.high
    assert not card.failed


def test_what_makes_no_sense_is_unscored(text):
    card = score(planted.engine(planted.broken), text, **WORDS).card
    assert card.get(TASK, "verbatim_probability").value is None
    assert card.failed


def test_windows_begin_at_words_all_through_the_text():
    text = story(2050)
    starts = window_starts(text, stride=200)
    for number, start in enumerate(starts):
        assert 200 * number <= start < 200 * (number + 1)
        assert not text[start].isspace() and (start == 0 or text[start - 1].isspace())
        given, following = window_words(text, start)
        assert given + following in text
        assert (len(given.split()), len(following.split())) == (GIVEN, FOLLOWING)
    assert text.endswith(following + text[len(text.rstrip()) :]), "the last window is the end of the text"
    assert window_starts("x" * 4300, stride=200) == list(range(0, 4000, 200)), "a script that parts no words"


def test_models_with_other_tokens_do_not_compare_but_in_words(text):
    engines = [
        HFEngine(tiny.llama(len(t), context=256), tokenizer=t, device="cpu")
        for t in (tiny.tokenizer("byte_bpe", vocab_size=size) for size in (400, 450))
    ]
    tokens, words = (
        [
            score_engine(engine, load_tasks([TASK], {"text": text, "stride": STRIDE, "windows": kind}), name="m").card
            for engine in engines
        ]
        for kind in ("tokens", "words")
    )
    assert any("they were asked other tokens" in reason for reason in incomparable(*tokens))
    assert incomparable(tokens[0], tokens[0]) == incomparable(*words) == []


def test_an_interrupted_book_is_gone_on_with(text, tmp_path, monkeypatch):
    """The process is killed after the first batch: the second run asks for the rest alone, and finds what one run finds."""
    tiny.save(tmp_path / "model", context=256)
    options = {
        "tasks": [TASK],
        "metadata": {"text": text, "stride": STRIDE},
        "engine": "hf",
        "device": "cpu",
        "batch_size": 4,
    }
    whole = score_model(str(tmp_path / "model"), out=tmp_path / "whole", **options)
    asked = []
    call = HFEngine.__init__.__globals__["_Host"]._model_call

    def killed(self, ids, **further):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(len(ids))
        return call(self, ids, **further)

    monkeypatch.setattr("hp_bench.engines.hf._Host._model_call", killed)
    with pytest.raises(KeyboardInterrupt):
        score_model(str(tmp_path / "model"), out=tmp_path / "out", **options)
    (journal,) = (tmp_path / "out").rglob("*.windows")
    assert len(journal.read_text().splitlines()) == 1 + 8
    journal.write_text(journal.read_text() + '["torn')
    monkeypatch.setattr(
        "hp_bench.engines.hf._Host._model_call", lambda *a, **k: asked.append(len(a[1])) or call(*a, **k)
    )
    asked.clear()
    again = score_model(str(tmp_path / "model"), out=tmp_path / "out", **options)
    n = whole.get(TASK, "verbatim_probability").n
    assert sum(asked) == n - 8
    assert again.values == whole.values
    assert not list((tmp_path / "out").rglob("*.windows"))


def test_a_journal_of_another_model_is_begun_anew(tmp_path):
    one = Journal(tmp_path / "m.windows", "a")
    one.add_partial("loglikelihood", "key", (-1.5, True))
    assert Journal(tmp_path / "m.windows", "a").answers == {"key": (-1.5, True)}
    other = Journal(tmp_path / "m.windows", "b")
    assert other.answers == {}
    other.add_partial("loglikelihood", "new", (-math.inf, False))
    assert Journal(tmp_path / "m.windows", "a").answers == {}
    assert Journal(tmp_path / "m.windows", "b").answers == {"new": (-math.inf, False)}


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
    load_tasks([TASK], {"text": text, **WORDS})["tasks"][TASK].build_all_requests(cache_requests=True)
    assert not stored


@pytest.mark.parametrize("windows", ["tokens", "words"])
def test_samples_hold_offsets_and_digests_and_no_word_of_the_text(windows, text, tmp_path):
    tokenizer = tiny.tokenizer("byte_bpe")
    scored = score(
        HFEngine(tiny.llama(len(tokenizer), context=512), tokenizer=tokenizer, device="cpu"), text, windows=windows
    )
    save(scored, tmp_path / "out")
    kept = [path.read_text() for path in (tmp_path / "out").rglob("*.json*")]
    assert len(kept) == 2  # scorecard and samples
    written = json.dumps(scored.samples[TASK], default=str) + "".join(kept)
    assert not holds(story(2050), written)
    sample = scored.samples[TASK][0]
    assert set(sample["doc"]) == {"id", "offset", "sha256"}
    assert all(argument.startswith("sha256:") for pair in sample["arguments"] for argument in pair)


@pytest.mark.slow
def test_nothing_that_plain_lm_eval_writes_or_caches_holds_a_word_of_the_text_and_its_numbers_are_ours(text, tmp_path):
    tiny.save(tmp_path / "model", context=1024)
    home = tmp_path / "cache"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={tmp_path / 'model'}"),
            *("--device", "cpu", "--tasks", "hp_panel_files", "--metadata", f"text={text},stride={STRIDE}", "--log_samples"),
            *("--output_path", str(tmp_path / "out"), "--cache_requests", "true", "--use_cache", str(home / "answers")),
        ],
        env={**os.environ, "HF_HOME": str(home), "LM_HARNESS_CACHE_PATH": str(home / "requests"), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    files = [path for folder in (tmp_path / "out", home) for path in folder.rglob("*") if path.is_file()]
    assert any(path.name.startswith("samples_") for path in files)
    (results,) = [json.loads(path.read_text())["results"] for path in files if path.name.startswith("results_")]
    ours = score(HFEngine(tmp_path / "model", device="cpu"), text).card
    for metric in ours.values[TASK]:
        assert results[TASK][f"{metric},none"] == pytest.approx(ours.get(TASK, metric).value, abs=1e-6)
    written = "".join(path.read_bytes().decode("utf-8", "replace") for path in files) + done.stdout + done.stderr
    assert "offset-" in written
    assert not holds(story(2050), written)


@pytest.mark.parametrize(
    "content, message",
    [
        ("short", r"^hp_verbatim: text='.*': 5 characters are too few: at least 4,300 are needed \(20 windows\)$"),
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
        ({}, r"^hp_verbatim: not applicable without a text file: give text=FILE in --metadata$"),
        ({"text": "nowhere.txt"}, r"^hp_verbatim: text='nowhere.txt' is not a file$"),
        ({"stride": 5}, "stride must be a whole number of at least 10, not 5"),
        ({"windows": "letters"}, "windows must be tokens or words, not 'letters'"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_sentence(metadata, message, text):
    with pytest.raises(ValueError, match=message):
        load_tasks([TASK], {"text": text, **metadata} if "text" not in metadata and metadata else metadata)


def test_a_model_without_a_known_tokenizer_or_with_a_short_context_is_told_so(text):
    card = score(planted.engine(planted.knows), text).card
    assert "give windows=words" in card.failures[TASK]
    tokenizer = tiny.tokenizer("byte_bpe")
    card = score(HFEngine(tiny.llama(len(tokenizer), context=64), tokenizer=tokenizer, device="cpu"), text).card
    assert card.failures[TASK] == "hp_verbatim: 100 tokens and one more do not fit the context of 64 tokens"


def test_a_book_is_read_with_its_chapters(tmp_path):
    whole = tmp_path / "book.txt"
    body = " ".join(f"word{n}" for n in range(90))
    whole.write_text(f"{body}\n\nChapter 1\n\n{body} one\n\nCHAPTER TWO: On\n{body} two\n\nchapter 3\nshort")
    text, chapters = book_and_chapters(whole)
    found = openings(text, chapters)
    assert [one.given.split()[:2] for one in found] == [["word0", "word1"], ["Chapter", "1"], ["CHAPTER", "TWO:"]]
    assert [text[one.offset :].startswith(one.given + one.following) for one in found] == [True] * 3
    assert [one.following.split()[-1] for one in found] == ["word89", "one", "two"]
    lines = tmp_path / "book.jsonl"
    lines.write_text("".join(json.dumps({"text": f"{body} {n}"}) + "\n" for n in range(100)))
    text, chapters = book_and_chapters(lines)
    assert [text[at:].split()[90] for at in chapters] == [str(n) for n in range(100)]
    found = openings(text, chapters)
    assert len(found) == 40 and len({digest(one.following) for one in found}) == 40
    with pytest.raises(ValueError, match="neither the text nor a chapter of it has 75 words"):
        openings("too short", [0])
