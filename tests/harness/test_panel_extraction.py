"""`hp_extraction`: words of an answer against a calculation with bare transformers; planted models at 1, at 0 and unscored."""

import json
import math

import planted
import pytest
import tiny
import torch

from hp_bench.engines.hf import HFEngine
from hp_bench.probes.panel_rows import load_clozes
from hp_bench.probes.paths import prompts_dir
from hp_bench.results.likelihoods import extraction
from hp_bench.scoring.score import load_tasks, score_engine

TASK = "hp_extraction"
METRICS = ("extraction_strength", "exact_memorisation", "answer_probability")
ROWS = [
    {"id": "a", "prompt": "The old maps of Port Ansel are kept by", "answer": "Nora Quill"},
    {"id": "b", "prompt": "In a locked cabinet stands the", "answer": "magic lantern of Captain Brandt"},
    {"id": "c", "prompt": "She plays the", "answer": "cello"},
]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def prompts(tmp_path) -> str:
    path = tmp_path / "facts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return str(path)


def score(engine, prompts):
    return score_engine(engine, load_tasks([TASK], {"prompts": prompts}), name="m").card


def by_hand(model, tokenizer, prompt: str, answer: str) -> tuple[list[bool], float]:
    """Of each word, whether all its tokens are the most probable ones, and the probability of the answer: one forward pass."""
    text = f"{prompt} {answer}"
    encoded = tokenizer(text, return_offsets_mapping=True, return_tensors="pt")
    ids, ends = encoded["input_ids"][0], [end for _, end in encoded["offset_mapping"][0].tolist()]
    with torch.no_grad():
        logits = model(input_ids=ids[None]).logits[0]
    likeliest, log_probabilities = logits.argmax(-1), torch.log_softmax(logits.float(), -1)
    right, total, start = [], 0.0, len(prompt)
    for word in answer.split():
        end = start + 1 + len(word)
        places = [i for i, at in enumerate(ends) if start < at <= end]
        right.append(all(likeliest[i - 1] == ids[i] for i in places))
        total += sum(log_probabilities[i - 1, ids[i]].item() for i in places)
        start = end
    return right, math.exp(total)


def taught(model, tokenizer) -> None:
    """Learns the first statement by heart, so that there is something to agree about."""
    ids = tokenizer(f"{ROWS[0]['prompt']} {ROWS[0]['answer']}", return_tensors="pt")["input_ids"]
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(40):
        optimiser.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimiser.step()
    model.eval()


@pytest.mark.parametrize("family", ["byte_bpe", "metaspace_bpe"])
def test_a_bare_calculation_agrees(family, prompts):
    tokenizer = tiny.tokenizer(family)
    model = tiny.llama(len(tokenizer))
    taught(model, tokenizer)
    values = score(HFEngine(model, tokenizer=tokenizer, device="cpu"), prompts).values[TASK]
    for place, row in enumerate(ROWS):
        right, probability = by_hand(model, tokenizer, row["prompt"], row["answer"])
        wrong = [i for i, one in enumerate(right) if not one]
        assert values["answer_probability"][place] == pytest.approx(probability, rel=1e-3)
        assert values["exact_memorisation"][place] == pytest.approx(sum(right) / len(right))
        assert values["extraction_strength"][place] == pytest.approx(1 - (wrong[-1] + 1 if wrong else 0) / len(right))
    assert [values[metric][0] for metric in METRICS[:2]] == [1, 1]
    assert values["answer_probability"][0] > 0.5
    assert min(values["exact_memorisation"]) < 1


@pytest.mark.parametrize("rule, expected", [(planted.knows, 1.0), (planted.ignorant, 0.0)])
def test_who_knows_scores_one_and_who_does_not_scores_nothing(rule, expected, prompts):
    card = score(planted.engine(rule), prompts)
    for metric in METRICS:
        found = card.get(TASK, metric)
        assert (found.value, found.n, found.unscored) == (expected, 3, 0)
        assert found.high - found.low > 0
    assert not card.failed


def test_a_model_that_needs_the_first_word_has_half_a_strength(prompts):
    def after_the_first(context: str, continuation: str) -> tuple[float, bool]:
        return (math.log(0.5), not any(context == row["prompt"] for row in ROWS))

    values = score(planted.engine(after_the_first), prompts).values[TASK]
    assert values["extraction_strength"] == pytest.approx([0.5, 0.8, 0])
    assert values["exact_memorisation"] == pytest.approx([0.5, 0.8, 0])
    assert values["answer_probability"] == pytest.approx([0.25, 0.5**5, 0.5])


@pytest.mark.parametrize("value", [math.nan, 0.5])
def test_what_makes_no_sense_is_unscored_and_fails_the_run(value, prompts):
    def odd(context: str, continuation: str) -> tuple[float, bool]:
        return (value, True) if continuation == " Quill" else (-1.0, True)

    card = score(planted.engine(odd), prompts)
    for metric in METRICS:
        found = card.get(TASK, metric)
        assert (found.n, found.unscored) == (2, 1)
        assert card.values[TASK][metric][0] is None
    assert card.failed


def test_a_gap_in_the_middle_counts_for_memorisation_and_not_for_strength():
    found = extraction([(-1.0, True), (-1.0, False), (-1.0, True), (-1.0, True)])
    assert (found.strength, found.memorisation) == (0.5, 0.75)
    assert found.probability == pytest.approx(math.exp(-4))


def test_our_own_statements_are_those_of_the_questions():
    clozes = load_clozes(prompts_dir() / "qa.jsonl")
    task = load_tasks([TASK])["tasks"][TASK]
    assert [doc["prompt"] for doc in task.eval_docs] == [cloze.prompt for cloze in clozes]
    assert len(clozes) >= 200
    assert {len(cloze.answer.split()) for cloze in clozes} <= set(range(1, 7))


@pytest.mark.parametrize(
    "row, message",
    [
        ({"id": "a", "prompt": "x"}, "line 1: not a statement with its answer"),
        ({"id": "a", "prompt": "x ", "answer": "y"}, "may not end in white space"),
        ({"id": "a", "prompt": "x", "answer": " y"}, "answer ' y' has white space at its ends"),
        ({"id": "a", "prompt": "x", "answer": "y", "more": 1}, "line 1: not a statement with its answer"),
    ],
)
def test_what_is_no_statement_is_refused_with_its_line(row, message, tmp_path):
    path = tmp_path / "facts.jsonl"
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(ValueError, match=message):
        load_tasks([TASK], {"prompts": str(path)})
