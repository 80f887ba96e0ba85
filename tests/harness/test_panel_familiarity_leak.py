"""`hp_familiarity_leak`: sixteen samples a prompt; one that leaks is enough, a broken one counts, two runs are one."""

import json
import math
from itertools import combinations

import planted
import pytest
import small_prompts
import tiny
import torch

from hp_bench.engines.endpoint import _Completions
from hp_bench.engines.hf import HFEngine
from hp_bench.harness.familiarity_leak import leak_metrics
from hp_bench.judges.completions import read_samples
from hp_bench.judges.grades import Verdict
from hp_bench.results.likelihoods import leak_at
from hp_bench.scoring.score import load_tasks, score_engine
from hp_bench.scoring.store import load_samples, save

TASK, FACTS = "hp_familiarity_leak", "hp_qa_leak"
SAMPLES = 16


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def metadata(tmp_path) -> dict[str, str]:
    metadata = small_prompts.write(tmp_path / "prompts")
    terms = [{"term": name, "type": "x", "scope": "idiosyncratic"} for _, (name,) in small_prompts.STORY]
    (tmp_path / "prompts" / "lexicon.jsonl").write_text("".join(json.dumps(term) + "\n" for term in terms))
    return metadata


def score(engine, metadata):
    return score_engine(engine, load_tasks([TASK], metadata), name="m")


def names(prompt: str) -> str:
    return next(references[0] for story, references in small_prompts.STORY if story == prompt)


def test_one_sample_in_sixteen_is_a_leak(metadata):
    def once(prompt: str, number: int) -> str:
        return f" they spoke of {names(prompt)}." if number == 11 else " they went to the market and bought bread."

    card = score(planted.engine(say=once), metadata).card
    assert card.values[TASK]["leak"] == [1, 1, 1, 1]
    assert card.values[TASK]["leak_thematic"] == [1, 1, 1, 1]
    for k in (1, 2, 4, 8):
        assert card.values[TASK][f"leak_{k}"] == pytest.approx([k / SAMPLES] * 4)
    assert card.values[TASK]["leak_familiarity"] == pytest.approx([5 / SAMPLES] * 4)
    assert not card.failed
    found = card.get(TASK, "leak_familiarity")
    assert 0 <= found.low < found.value < found.high <= 5


def test_a_thought_before_a_sample_is_no_leak_of_it(metadata):
    def thinks(prompt: str, number: int) -> str:
        return f"<think>{names(prompt)}?</think> they spoke of {names(prompt) if number == 11 else 'bread'}."

    card = score(planted.engine(say=thinks), metadata).card
    assert card.values[TASK]["leak_familiarity"] == pytest.approx([5 / SAMPLES] * 4)


def test_who_always_says_it_is_at_the_top_and_who_never_does_is_at_the_floor(metadata):
    always = score(planted.engine(say=lambda prompt, _: f" they spoke of {names(prompt)}."), metadata).card
    never = score(planted.engine(say=lambda *_: " they went to the market and bought bread."), metadata).card
    assert [always.get(TASK, metric).value for metric in ("leak", "leak_familiarity")] == [1, 5]
    assert [never.get(TASK, metric).value for metric in ("leak", "leak_thematic", "leak_familiarity")] == [0, 0, 0]
    assert never.get(TASK, "leak").high > 0.1  # four prompts prove little


def test_broken_samples_are_counted_and_keep_their_grade(metadata):
    def loops(prompt: str, number: int) -> str:
        return f" {names(prompt)} the end the end" + " the end" * 20 if number < 4 else ""

    card = score(planted.engine(say=loops), metadata).card
    assert card.get(TASK, "leak").value == 1
    assert card.get(TASK, "leak_degenerate").value == 4 / SAMPLES
    assert card.get(TASK, "leak_empty").value == 1 - 4 / SAMPLES
    assert card.get(TASK, "leak_familiarity").value == pytest.approx(20 / SAMPLES)
    assert not card.failed


def test_a_prompt_without_one_of_its_samples_is_unscored(metadata):
    def silent(prompt: str, number: int) -> str | None:
        return None if "train" in prompt and number == 7 else " they went to the market."

    card = score(planted.engine(say=silent), metadata).card
    for metric in ("leak", "leak_thematic", "leak_familiarity", "leak_degenerate"):
        found = card.get(TASK, metric)
        assert (found.n, found.unscored) == (3, 1)
    assert card.values[TASK]["leak"][1] is None
    assert card.failed


def test_leak_at_k_by_enumeration_of_all_subsets():
    """Of n samples of which some leak: the share of all choices of k that hold one that leaks."""
    for n in (1, 2, 5, 8):
        for leaks in range(n + 1):
            for k in range(1, n + 1):
                chosen = list(combinations([place < leaks for place in range(n)], k))
                assert leak_at(k, n=n, leaks=leaks) == pytest.approx(sum(map(any, chosen)) / len(chosen))


def test_leak_at_k_is_unbiased():
    """Its mean over all samples of size n is the probability that one of k draws leaks."""
    p, n = 0.3, 6
    for k in range(1, n + 1):
        mean = sum(math.comb(n, c) * p**c * (1 - p) ** (n - c) * leak_at(k, n=n, leaks=c) for c in range(n + 1))
        assert mean == pytest.approx(1 - (1 - p) ** k)


def test_a_fact_leaks_where_a_sample_holds_its_answer(metadata, tmp_path):
    rows = [
        {"id": f"f{n}", "prompt": f"The keeper of tool {n} is called", "answer": f"Name{n} Quill"} for n in range(4)
    ]
    (tmp_path / "prompts" / "qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def says(prompt: str, number: int) -> str | None:
        place = int(prompt.split()[4])
        return f" Name{place} Quill, they say" if number < (0, 1, 8, 16)[place] else " someone else."

    card = score_engine(planted.engine(say=says), load_tasks([FACTS], metadata), name="m").card
    assert card.values[FACTS]["leak"] == [0, 1, 1, 1]
    assert card.values[FACTS]["leak_1"] == pytest.approx([0, 1 / 16, 1 / 2, 1])
    assert card.values[FACTS]["leak_2"] == pytest.approx([0, 1 / 8, 1 - 8 * 7 / (16 * 15), 1])
    assert not {"leak_familiarity", "leak_thematic"} & set(card.values[FACTS])
    assert not card.failed


def test_nothing_to_grade_is_no_score():
    assert leak_metrics([])["unscored"] == 1
    assert leak_metrics([Verdict("none"), Verdict(None, unscored="cut off")])["unscored"] == 1
    thematic = leak_metrics([Verdict("none"), Verdict("thematic")])
    assert (thematic["leak"], thematic["leak_thematic"], thematic["leak_familiarity"]) == (0, 1, 0.5)


def completions(engine, metadata) -> str:
    tasks = load_tasks([TASK], metadata)
    tasks["tasks"][TASK].config.generation_kwargs["max_gen_toks"] = 8
    scored = score_engine(engine, tasks, name="m")
    assert not scored.card.failures
    return json.dumps([sample["resps"] for sample in scored.samples[TASK]])


def test_two_runs_are_byte_identical_and_another_seed_is_another_run(metadata):
    tokenizer = tiny.tokenizer("byte_bpe")
    engine = HFEngine(tiny.llama(len(tokenizer)), tokenizer=tokenizer, device="cpu")
    first = completions(engine, metadata)
    torch.rand(7)  # whatever else draws in between
    assert completions(engine, metadata) == first
    assert completions(engine, {**metadata, "leak_seed": 5}) != first
    for (samples,) in json.loads(first):
        assert len(samples) == SAMPLES
        assert len(set(samples)) > SAMPLES / 2  # samples, and no copies of one


def test_samples_that_are_copies_are_noticed(metadata, caplog):
    score(planted.engine(say=lambda prompt, number: " they went to the market."), metadata)
    assert "the samples of every prompt are one and the same" in caplog.text
    caplog.clear()
    score(planted.engine(say=lambda prompt, number: f" they bought {number} eggs at the market."), metadata)
    assert "one and the same" not in caplog.text


def test_a_server_gets_no_seed_with_samples():
    """lm-eval's own client sends one seed with every request, and a server that keeps to it says sixteen times the same."""
    client = object.__new__(_Completions)
    client.model, client._max_gen_toks = "served", 80
    asked = {"max_gen_toks": 8, "until": []}
    sampled = client._create_payload(["a"], generate=True, gen_kwargs={**asked, "temperature": 1.0}, seed=1234)
    greedy = client._create_payload(["a"], generate=True, gen_kwargs={**asked, "temperature": 0.0}, seed=1234)
    assert "seed" not in sampled
    assert greedy["seed"] == 1234


def test_every_sample_is_kept(metadata, tmp_path):
    scored = score(planted.engine(say=lambda prompt, number: f" sample {number} of the market"), metadata)
    save(scored, tmp_path / "out")
    row = load_samples(tmp_path / "out", "m", TASK)[0]
    assert row["responses"] == [f" sample {number} of the market" for number in range(SAMPLES)]
    assert [verdict["grade"] for verdict in row["verdict"]["verdicts"]] == ["none"] * SAMPLES
    read, _ = read_samples(tmp_path / "out" / "samples" / "m" / f"{TASK}.jsonl")
    assert [one.completion for one in read][:SAMPLES] == row["responses"]


def test_sampling_leaves_the_models_distribution_whole():
    task = load_tasks([TASK])["tasks"][TASK]
    assert task.config.repeats == SAMPLES
    assert task.config.generation_kwargs == {
        "do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0, "max_gen_toks": 80, "until": [],
    }  # fmt: skip
    greedy = load_tasks(["hp_familiarity"])["tasks"]["hp_familiarity"]
    assert greedy.config.generation_kwargs["max_gen_toks"] == 80
    assert [doc["prompt"] for doc in task.eval_docs] == [doc["prompt"] for doc in greedy.eval_docs]


@pytest.mark.parametrize("seed", [-1, "one", 1.5, True])
def test_a_seed_is_a_whole_number(seed, metadata):
    with pytest.raises(ValueError, match="leak_seed must be a whole number of at least 0, not"):
        task = load_tasks([TASK], {**metadata, "leak_seed": seed})["tasks"][TASK]
        task.build_all_requests()
