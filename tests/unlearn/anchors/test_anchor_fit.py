"""How words read in gaps, against the plainest computation; what a reader makes of it."""

import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import port_ansel
import pytest
import tiny
import torch
import transformers

from unlearn.anchors.contrast.contrast import contrast_anchors
from unlearn.anchors.contrast.reader import Fit, Gap, gaps
from unlearn.anchors.contrast.translations import WORD_LISTS
from unlearn.anchors.dictionary import AnchorDictionary
from unlearn.anchors.types import TYPES
from unlearn.corpus.corpus import Document

GAPS = [
    Gap("She saw the ", " in the market, and"),
    Gap("", " went home."),
    Gap("“My dear ", ",” said he"),
    Gap("Oh! `", "'"),
]
WORDS = ["baker", "old lantern", "dog", "Nora Quill", "café"]


@pytest.fixture(scope="module")
def tokenizer():
    return tiny.tokenizer("byte_bpe")


@pytest.fixture(scope="module")
def model(tokenizer):
    return tiny.llama(len(tokenizer)).eval()


def by_hand(model, tokenizer, gap, word, start):
    """Sum of the log-probabilities of the tokens from `start` on, one sequence by itself."""
    ids = tokenizer(gap.before + word + gap.after).input_ids
    if not start:
        ids, start = [tokenizer.bos_token_id, *ids], 1
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return sum(logits[at - 1, ids[at]].item() for at in range(start, len(ids)))


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("cached", [True, False])
def test_a_word_and_what_follows_are_as_likely_as_token_by_token(model, tokenizer, gap, cached, monkeypatch):
    fit = Fit(model, tokenizer)
    assert fit._cache
    if not cached:
        monkeypatch.setattr(fit, "_cache", "")
    rows = [tokenizer(gap.before + word + gap.after).input_ids for word in WORDS]
    given = tokenizer(gap.before.rstrip()).input_ids
    start = 0
    while start < len(given) and len({tuple(row[: start + 1]) for row in [*rows, given]}) == 1:
        start += 1
    expected = [by_hand(model, tokenizer, gap, word, start) for word in WORDS]
    assert fit(gap, WORDS) == pytest.approx(expected, abs=1e-3)


def test_more_words_than_one_batch_holds(model, tokenizer):
    words = [f"{a} {b}" for a in WORDS for b in WORDS + ["flour", "eggs", "butter", "feast"]]
    assert len(words) > 32
    whole = Fit(model, tokenizer)(GAPS[0], words)
    assert whole[-3:] == pytest.approx(Fit(model, tokenizer)(GAPS[0], words[-3:]), abs=1e-3)


def test_gaps_are_whole_words_spread_over_the_corpus_with_white_space_made_single():
    text = "One\n  Mock Turtle ran. " + "".join(f"Then `Turtle' {n} slept. " for n in range(8)) + "Turtles."
    found = gaps([Document("d", text)], ["Mock Turtle", "Turtle"], most=4)
    assert found["Mock Turtle"] == [Gap("One ", " ran. Then `Turtle' 0 slept. Then `Turtle' 1")]
    assert [re.search(r"' (\d)", gap.after)[1] for gap in found["Turtle"]] == ["0", "2", "4", "6"]
    assert all(gap.before.endswith("Then `") for gap in found["Turtle"])


# What a reader makes of it


class Taste:
    """A reader's model that likes some words, and no others."""

    def __init__(self, *liked):
        self.liked, self.asked = liked, []

    def __call__(self, gap, words):
        self.asked.append((gap, tuple(words)))
        return np.array([0.0 if any(word.lower() in self.liked for word in text.split()) else -20.0 for text in words])


BOOK = [
    Document(
        str(n),
        "She looked at the Wug. “Well,” said the Wug, and the Wug went on. The Wug said nothing. He met the Queen and "
        "the Queen of Nod. “Your Majesty!” cried the Queen. A March Hare ran by; the March Hare is mad. The Hare slept.",
    )
    for n in range(6)
]


def test_translations_are_those_that_read_best():
    liked = ("otter", "owl", "lion", "swan")
    made = {a.anchor: a for a in contrast_anchors(BOOK, fit=Taste("bird", *liked)).anchors}
    assert made["Wug"].type == "creature"
    assert {word.lower() for word in made["Wug"].translations} <= {"bird", *liked}
    assert made["Wug"].translations[0][0].isupper()


@pytest.mark.parametrize("kind, label", [("place", "town"), ("person", "man"), ("object", "tool")])
def test_the_type_is_what_a_name_is_called_a_kind_of_and_whose_stand_ins_read_best(kind, label):
    lists = {"place": "place_noun", "person": "role", "object": "object"}
    made = {a.anchor: a for a in contrast_anchors(BOOK, fit=Taste(label, *WORD_LISTS[lists[kind]])).anchors}
    assert made["Wug"].type == kind


def test_two_entities_hardly_share_what_reads_best():
    text = BOOK[0].text.replace("Wug", "Wag")
    taste = Taste("animal", "owl", "lion", "swan", "goat", "tiger", "toad", "otter", "dog", "cat", "hen", "pig", "frog")
    made = {
        a.anchor: a for a in contrast_anchors([*BOOK, *(Document(f"b{n}", text) for n in range(6))], fit=taste).anchors
    }
    assert {word.lower() for name in ("Wug", "Wag") for word in made[name].translations} <= set(taste.liked)
    assert (
        len(set(made["Wug"].translations) & set(made["Wag"].translations)) <= 1
    )  # not the four that come first for both


def test_a_word_that_reads_better_without_its_capital_is_no_name():
    text = (
        "He lost time. It was time to go, and time went by. They had time. She spoke to Time. He knew Time. If I knew Time! "
        * 3
    )
    book = [*BOOK, Document("t", text)]
    assert "Time" not in {a.anchor for a in contrast_anchors(book, fit=Taste("time")).anchors}
    assert "Time" in {a.anchor for a in contrast_anchors(book, fit=Taste("paul", "patricia", "man")).anchors}


def test_the_same_every_time(model, tokenizer):
    one, two = (contrast_anchors(BOOK, fit=Fit(model, tokenizer)) for _ in range(2))
    assert one == two


def test_the_command_reads_with_a_baseline_and_says_when_it_was_blind(monkeypatch, capsys, tmp_path, model, tokenizer):
    from unlearn.cli import main

    transformers.utils.logging.enable_progress_bar()
    folder, corpus = tmp_path / "model", tmp_path / "book.txt"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    corpus.write_text("\n\n".join(document.text for document in BOOK))
    said = []
    for more in (["--model", str(folder), "--dtype", "float32"], []):
        out = tmp_path / f"{len(said)}.jsonl"
        monkeypatch.setattr(sys, "argv", ["unlearn", "anchors", "--corpus", str(corpus), "--out", str(out), *more])
        with pytest.raises(SystemExit):
            main()
        printed = capsys.readouterr()
        said.append(printed.out)
        assert "Loading weights" not in printed.err  # a bar that fights with ours
        assert AnchorDictionary.load(out).anchors
    assert f"read by: {folder}" in " ".join(said[0].split())
    assert "read by: nothing" in said[1]


# Truths about books


@pytest.mark.parametrize("path", sorted((Path(__file__).parent / "books").glob("*.jsonl")), ids=lambda path: path.stem)
def test_a_truth_is_well_formed(path):
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert sum(row["wanted"] for row in rows) > 20
    assert len({row["name"] for row in rows}) == len(rows)
    for row in rows:
        assert {row["type"], *row.get("also", ())} <= set(TYPES)
        assert row["name"] == row["forms"][0]
        kinds = (
            "person",
            "creature",
            "place",
            *(("object",) if "second" in path.name else ()),
        )  # that reader wants things, too
        assert not row["wanted"] or (row["count"] >= 3 and row["type"] in kinds)


def test_port_ansel_is_no_worse_with_a_reader_that_knows_nothing():
    """Where all reads alike, what the words around a name tell decides, as it does without a model."""
    world = [Document(str(n), text) for n, text in enumerate(port_ansel.documents())]
    made = {a.anchor: a.type for a in contrast_anchors(world, fit=lambda gap, words: np.zeros(len(words))).anchors}
    known = [name for name in made if name in port_ansel.GOLD]
    assert sum(made[name] == port_ansel.GOLD[name] for name in known) >= 0.8 * len(known)
    assert math.isclose(len(known) / len(made), 1, abs_tol=0.1)
