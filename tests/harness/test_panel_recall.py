"""`hp_recall`: what is repeated of a text is counted block by block, and nothing of text or answer is kept."""

import json
import random

import planted
import pytest
import tiny
import torch
from facts_world import story

from hp_bench.engines.hf import HFEngine
from hp_bench.scoring.score import load_tasks, score_engine
from hp_bench.scoring.store import save
from hp_bench.text.recall import GAP, LEAST, recall

TASK = "hp_recall"
CHAPTERS = 5


@pytest.fixture
def text(tmp_path) -> str:
    """Five chapters, of the same words in other orders."""
    words = story(2050).split()
    path = tmp_path / "book.jsonl"
    path.write_text("".join(json.dumps({"text": " ".join(words[n * 400 :][:400])}) + "\n" for n in range(CHAPTERS)))
    return str(path)


def following(prompt: str) -> list[str]:
    """The 100 words that follow an opening."""
    words = story(2050).split()
    start = words.index(next(word for word in prompt.split() if word.startswith("secret"))) - prompt.split().index(
        next(word for word in prompt.split() if word.startswith("secret"))
    )
    return words[start + 50 : start + 150]


def score(engine, text):
    return score_engine(engine, load_tasks([TASK], {"text": text}), name="m")


def test_blocks_are_counted_by_hand():
    words = [f"w{n}" for n in range(40)]
    text = " ".join(words)
    assert (
        recall(text, text) == recall(text, text.upper().replace(" ", ",\n")) == (recall(text, f"So: {text} and so on"))
    )
    assert (recall(text, text).share, recall(text, text).longest) == (1.0, 40)
    assert recall(text, " ".join(reversed(words))).share == 0
    assert recall(text, " ".join(words[: LEAST - 1])).share == 0
    assert recall(text, " ".join(words[:LEAST])).share == LEAST / 40
    other = [*words[:10], "another", *words[11:20]]  # one word differs: one block of 19
    assert (recall(text, " ".join(other)).share, recall(text, " ".join(other)).longest) == (19 / 40, 19)
    other = [*words[:10], *["another"] * (GAP + 1), *words[10:20]]  # too far apart: two blocks
    assert (recall(text, " ".join(other)).share, recall(text, " ".join(other)).longest) == (20 / 40, 10)
    other = [*words[:5], *["another"] * (GAP + 1), *words[5:10]]  # two blocks, both too short
    assert recall(text, " ".join(other)).share == 0
    assert recall(text, "").share == recall("", text).share == 0


def test_a_block_that_is_repeated_anywhere_is_found():
    rng = random.Random(0)
    for _ in range(50):
        text = [f"w{n}" for n in rng.sample(range(1000), 60)]
        size = rng.randrange(LEAST, 60)
        start = rng.randrange(0, 60 - size)
        noise = [f"x{n}" for n in range(30)]
        found = recall(" ".join(text), " ".join([*noise, *text[start : start + size], *noise]))
        assert (found.share, found.longest) == (size / 60, size)


def test_who_knows_the_book_repeats_it_and_who_samples_otherwise_repeats_less(text):
    def says(prompt: str, number: int) -> str:
        """Greedy first: all of it; of the samples the first half of it, then nothing."""
        return " ".join(following(prompt)[: (100, 50, 0, 0, 0)[number]]) or "nothing of the kind"

    card = score(planted.engine(say=says), text).card
    assert card.values[TASK]["recall_greedy"] == [1.0] * CHAPTERS
    assert card.values[TASK]["recall_sampled"] == pytest.approx([0.5 / 4] * CHAPTERS)
    assert card.values[TASK]["recall_best"] == [1.0] * CHAPTERS
    assert card.values[TASK]["recall_longest"] == [100] * CHAPTERS
    assert not card.failed


def test_what_is_only_thought_is_not_repeated(text):
    def says(prompt: str, number: int) -> str:
        return f"<think>{' '.join(following(prompt))}</think> nothing of the kind"

    assert score(planted.engine(say=says), text).card.values[TASK]["recall_best"] == [0.0] * CHAPTERS


def test_an_opening_without_one_of_its_continuations_is_unscored(text):
    card = score(planted.engine(say=lambda prompt, number: None if number == 3 else "nothing"), text).card
    assert card.get(TASK, "recall_greedy").unscored == CHAPTERS
    assert card.failed


def test_two_runs_are_one_and_samples_hold_nothing_of_text_or_answer(text, tmp_path):
    torch.set_num_threads(1)
    tokenizer = tiny.tokenizer("byte_bpe", [story(2050)])
    engine = HFEngine(tiny.llama(len(tokenizer), context=512), tokenizer=tokenizer, device="cpu")
    scored = [score(engine, text) for _ in range(2)]
    assert not scored[0].card.failures
    first, again = (json.dumps(one.samples[TASK], default=str) for one in scored)
    assert first == again
    save(scored[0], tmp_path / "out")
    written = first + "".join(path.read_text() for path in (tmp_path / "out").rglob("*.json*"))
    assert "secret" not in written
    (greedy,), sampled = scored[0].samples[TASK][0]["resps"]
    assert [len(sampled), len({greedy, *sampled})] == [4, 5]
    assert all(said.startswith("sha256:") for said in (greedy, *sampled))


def test_a_book_that_is_too_short_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("too short")
    with pytest.raises(ValueError, match=r"^hp_recall: text='.*': neither the text nor a chapter of it has 75 words$"):
        load_tasks([TASK], {"text": str(path)})
