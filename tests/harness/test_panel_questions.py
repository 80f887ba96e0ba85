"""hp_qa, hp_qa_author_films, hp_neighbours: models that know score 1, models that guess score chance, failures score nothing."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import panel_models
import pytest
import tiny
import torch
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager

from hp_bench.engines.hf import HFEngine
from hp_bench.harness.questions import CONTROL
from hp_bench.probes.panel_rows import Fact, load_facts
from hp_bench.probes.paths import prompts_dir, tasks_dir
from hp_bench.results import statistics
from hp_bench.results.likelihoods import preference
from hp_bench.results.scorecard import difference
from hp_bench.results.statistics import rate_interval
from hp_bench.scoring.score import load_tasks, score_engine
from hp_bench.scoring.store import load_samples, save

NUMBERS = ("choice_accuracy", "choice_control", "choice_gain", "cloze_accuracy", "cloze_share", "cloze_exact")
FILES = {"hp_qa": "qa", "hp_qa_author_films": "qa_author_films", "hp_neighbours": "neighbours"}
PREFIX = {"hp_qa": "", "hp_qa_author_films": "kept_", "hp_neighbours": "kept_"}
ROW = {
    "id": "a", "question": "Who keeps the maps of Port Ansel?", "cloze": "The maps of Port Ansel are kept by", "answer": "Nora Quill",
    "distractors": ["Ida Moss", "Bram Holt", "Jon Fell"], "topic": "people",
}  # fmt: skip
ROWS = [
    ROW,
    {**ROW, "id": "b", "question": "What did the baker buy?", "cloze": "The baker bought", "answer": "flour"}
    | {"distractors": ["a lantern", "old maps", "a tower"], "topic": "objects"},
]


@pytest.fixture(scope="module", autouse=True)
def few_resamples():
    """Intervals are tested elsewhere; here a tenth of the bootstrap's time will do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "_RESAMPLES", 999)
        yield


@pytest.fixture
def target(tmp_path: Path) -> dict[str, str]:
    for name in FILES.values():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return {"prompts": str(tmp_path)}


def scored(lm, names=FILES, metadata=None):
    engine = SimpleNamespace(lm=lm, name="rules", model="m", dtype="float32", stored=False)
    return score_engine(engine, load_tasks(list(names), metadata), name="m")


def answers(name: str) -> dict[str, str]:
    facts = load_facts(prompts_dir() / f"{FILES[name]}.jsonl")
    return {prompt: f.answer for f in facts for prompt in (f"Question: {f.question}\nAnswer:", f.cloze)}


@pytest.fixture(scope="module")
def guessing():
    return scored(panel_models.RuledModel()).card


@pytest.fixture(scope="module")
def knowing():
    known = {prompt: answer for name in FILES for prompt, answer in answers(name).items()}
    return scored(panel_models.RuledModel(panel_models.knowing(known))).card


@pytest.mark.parametrize("name", FILES)
def test_a_model_that_knows_scores_one_and_the_control_stays_at_chance(knowing, name):
    def value(metric: str) -> float:
        return knowing.get(name, PREFIX[name] + metric).value

    assert (value("choice_accuracy"), value("cloze_accuracy"), value("cloze_exact")) == (1, 1, 1)
    assert value("cloze_share") > 0.95
    control = value("choice_control")
    assert value("choice_gain") == pytest.approx(1 - control)
    chance = rate_interval(round(control * len(knowing.items[name])), len(knowing.items[name]), confidence=0.999)
    assert chance.low < 0.25 < chance.high


@pytest.mark.parametrize("name", FILES)
def test_a_model_that_guesses_scores_chance(guessing, name):
    n = len(guessing.items[name])
    for metric in ("choice_accuracy", "choice_control", "cloze_accuracy"):
        found = guessing.get(name, PREFIX[name] + metric)
        chance = rate_interval(round(found.value * n), n, confidence=0.999)
        assert chance.low < 0.25 < chance.high
    gain = guessing.get(name, f"{PREFIX[name]}choice_gain")
    assert gain.low < 0 < gain.high
    assert guessing.get(name, f"{PREFIX[name]}cloze_exact").value == 0


def test_a_model_without_any_preference_is_right_by_chance_only():
    """Every answer is equally likely per byte: the order alone decides, and does not depend on which one is right."""
    card = scored(panel_models.RuledModel(panel_models.indifferent), ["hp_qa"]).card
    value, n = card.get("hp_qa", "choice_accuracy").value, len(card.items["hp_qa"])
    chance = rate_interval(round(value * n), n, confidence=0.999)
    assert chance.low < 0.25 < chance.high


def test_knowing_the_cloze_alone_shows_in_the_cloze_alone(guessing):
    facts = load_facts(prompts_dir() / "qa.jsonl")
    lm = panel_models.RuledModel(panel_models.knowing({fact.cloze: fact.answer for fact in facts}))
    card = scored(lm, ["hp_qa"]).card
    assert card.get("hp_qa", "cloze_accuracy").value == 1
    for metric in ("choice_accuracy", "choice_control", "choice_gain"):
        assert card.values["hp_qa"][metric] == guessing.values["hp_qa"][metric]


def test_answers_that_give_themselves_away_raise_the_control_and_not_the_gain(target):
    """A model that likes the right answers after anything knows nothing of the questions."""
    likes = {row["answer"] for row in ROWS}
    lm = panel_models.RuledModel(lambda context, answer: -0.1 if answer.strip() in likes else -9.0)
    card = scored(lm, ["hp_qa"], target).card
    assert card.get("hp_qa", "choice_accuracy").value == card.get("hp_qa", "choice_control").value == 1
    assert card.get("hp_qa", "choice_gain").value == 0


@pytest.mark.parametrize("broken", [panel_models.silent, lambda *_: 0.5, lambda *_: -3.0, lambda *_: -math.inf])
def test_numbers_that_cannot_be_are_no_score(target, broken):
    card = scored(panel_models.RuledModel(broken), metadata=target).card
    assert card.failed
    for name, prefix in PREFIX.items():
        for metric in NUMBERS:
            found = card.get(name, prefix + metric)
            assert (found.value, found.n, found.unscored) == (None, 0, 2)


def test_one_bad_number_leaves_its_fact_unscored_and_no_other(target):
    def half(context: str, continuation: str) -> float:
        return math.nan if context == ROW["cloze"] else panel_models.guess(context, continuation)

    card = scored(panel_models.RuledModel(half), ["hp_qa"], target).card
    assert {values[0] for values in card.values["hp_qa"].values()} == {None}
    assert None not in {values[1] for values in card.values["hp_qa"].values()}


def test_an_engine_that_breaks_off_is_a_failure_with_its_reason(target):
    def dies(context: str, continuation: str) -> float:
        raise RuntimeError("out of memory")

    card = scored(panel_models.RuledModel(dies), ["hp_qa"], target).card
    assert card.failures == {"hp_qa": "RuntimeError: out of memory"}
    assert card.get("hp_qa", "choice_accuracy").value is None


def test_every_answer_is_asked_after_the_question_the_control_and_the_cloze(target):
    task = load_tasks(["hp_qa"], target)["tasks"]["hp_qa"]
    task.build_all_requests(limit=1)
    choices = task.eval_docs[0]["choices"]
    assert sorted(choices) == sorted([ROW["answer"], *ROW["distractors"]])
    prompts = ("Question: Who keeps the maps of Port Ansel?\nAnswer:", "Question:\nAnswer:", ROW["cloze"])
    assert prompts[1] == CONTROL
    assert [one.args for one in task.instances] == [(p, f" {choice}") for p in prompts for choice in choices]


def test_the_order_of_the_choices_is_the_ids_and_the_seeds_and_not_the_places():
    facts = load_facts(prompts_dir() / "qa.jsonl")
    places = [fact.choices().index(fact.answer) for fact in facts]
    assert all(len(facts) / 6 < places.count(place) < len(facts) / 3 for place in range(4))
    assert [fact.choices() for fact in reversed(facts)] == [fact.choices() for fact in facts][::-1]
    assert [fact.choices(seed=1) for fact in facts] != [fact.choices() for fact in facts]
    task = load_tasks(["hp_qa"], {"choice_seed": 1})["tasks"]["hp_qa"]
    assert [doc["choices"] for doc in task.eval_docs] == [fact.choices(seed=1) for fact in facts]
    # frozen: the same on every machine
    assert Fact(**ROW).choices() == ["Ida Moss", "Jon Fell", "Nora Quill", "Bram Holt"]


def test_choice_is_by_log_likelihood_per_byte():
    """A long answer is not punished for its length, and a letter of two bytes counts as two."""
    choices = ["owl", "a very long answer", "émeu", "dog"]
    rates = [1.0, 0.9, 1.1, 1.2]
    values = [-rate * len(choice.encode()) for rate, choice in zip(rates, choices, strict=True)]
    assert max(values) == values[0]  # by the sum, the short one would win
    assert preference(values, choices, "a very long answer").right
    assert not preference(values, choices, "owl").right
    assert preference(
        [-9.0, -20.0, -4.2, -4.0], choices, "émeu"
    ).right  # -.84 a byte, though -1.05 a letter against -1.33
    assert len("émeu".encode()) == 5


def test_the_share_is_the_probability_given_one_of_the_four_is_said():
    values = [math.log(p) for p in (0.1, 0.2, 0.05, 0.15)]
    assert preference(values, list("abcd"), "b").share == pytest.approx(0.4)
    tiny_ones = [value - 2000 for value in values]  # no double holds their probabilities
    assert preference(tiny_ones, list("abcd"), "b").share == pytest.approx(0.4)
    assert preference([-math.inf, -1.0, -2.0, -math.inf], list("abcd"), "a").share == 0


@pytest.mark.parametrize(
    "change, message",
    [
        ({"distractors": ["Ida Moss", "Bram Holt"]}, "distractors: "),
        ({"distractors": ["Ida Moss", "Bram Holt", "nora quill"]}, "'nora quill' is the beginning of choice 'nora quill'"),
        ({"distractors": ["Ida Moss", "Bram Holt", "Nora"]}, "'nora' is the beginning of choice 'nora quill'"),
        ({"cloze": "Nora studies with"}, "answer 'Nora Quill' is given away by 'Nora studies with'"),
        ({"question": "Is it Ms Quill?"}, "answer 'Nora Quill' is given away by 'Is it Ms Quill?'"),
        ({"question": "Name the keeper"}, "question 'Name the keeper' does not end with a question mark"),
        ({"cloze": "It is "}, "a prompt may not end in white space"),
        ({"author": "me"}, "unknown is author"),
        ({"answer": ""}, "answer: "),
    ],
)  # fmt: skip
def test_a_bad_fact_is_refused_with_its_line(target, change, message):
    path = Path(target["prompts"]) / "qa.jsonl"
    path.write_text(json.dumps(ROWS[1]) + "\n" + json.dumps(ROW | change) + "\n")
    with pytest.raises(ValueError) as caught:
        load_tasks(["hp_qa"], {"prompts": str(path)})
    assert f"{path}, line 2: not a fact: " in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_facts_may_not_have_one_id(target):
    path = Path(target["prompts"]) / "qa.jsonl"
    path.write_text(json.dumps(ROW) + "\n" + json.dumps(ROW) + "\n")
    with pytest.raises(ValueError, match="line 2: id 'a' is that of line 1 already"):
        load_tasks(["hp_qa"], {"prompts": str(path)})


@pytest.fixture(scope="module")
def engine() -> HFEngine:
    torch.set_num_threads(1)
    tokenizer = tiny.tokenizer("byte_bpe")
    return HFEngine(tiny.llama(len(tokenizer)), tokenizer=tokenizer, device="cpu")


def test_a_real_model_by_our_engine_and_by_plain_lm_eval_with_errors_above_zero(engine, target):
    card = score_engine(engine, load_tasks(list(FILES), target), name="m").card
    assert not card.failed
    tasks = TaskManager(include_defaults=False, include_path=[tasks_dir()], metadata=target)
    results = simple_evaluate(engine.lm, tasks=list(FILES), task_manager=tasks, bootstrap_iters=0)["results"]
    for name, prefix in PREFIX.items():
        for metric in NUMBERS:
            assert results[name][f"{prefix}{metric},none"] == pytest.approx(card.get(name, prefix + metric).value)
            assert 0 < results[name][f"{prefix}{metric}_stderr,none"] < math.inf
        assert results[name]["unscored,none"] == 0


def test_the_numbers_are_those_of_bare_transformers(engine, target):
    card = score_engine(engine, load_tasks(["hp_qa"], target), name="m").card

    def log_likelihood(prompt: str, answer: str) -> float:
        ids = engine.lm.tokenizer(f"{prompt} {answer}", return_tensors="pt")["input_ids"]
        start = len(engine.lm.tokenizer(prompt)["input_ids"])
        with torch.no_grad():
            rows = torch.log_softmax(engine.lm.model(ids).logits[0].double(), dim=-1)
        return sum(rows[i - 1, ids[0, i]].item() for i in range(start, ids.shape[1]))

    for number, row in enumerate(ROWS):
        choices = Fact(**row).choices()
        found = [
            preference([log_likelihood(prompt, choice) for choice in choices], choices, row["answer"])
            for prompt in (f"Question: {row['question']}\nAnswer:", CONTROL, row["cloze"])
        ]
        values = {metric: card.values["hp_qa"][metric][number] for metric in NUMBERS}
        assert [values[m] for m in ("choice_accuracy", "choice_control", "cloze_accuracy")] == [p.right for p in found]
        assert values["cloze_share"] == pytest.approx(found[2].share, abs=1e-5)


def test_samples_carry_the_topic_for_slices(target, tmp_path):
    save(scored(panel_models.RuledModel(), ["hp_qa"], target), tmp_path / "out")
    assert [sample["topic"] for sample in load_samples(tmp_path / "out", "m", "hp_qa")] == ["people", "objects"]


def test_what_a_model_forgot_is_a_paired_difference_with_the_right_sign(knowing, guessing):
    lost = difference(guessing, knowing, "hp_qa", "choice_gain")
    assert lost.high < -0.5 and lost.p < 0.01
    assert difference(guessing, knowing, "hp_neighbours", "kept_choice_accuracy").high < -0.5
    assert difference(guessing, knowing, "hp_qa", "choice_control").p == 1


@pytest.mark.parametrize("name", FILES)
def test_a_tasks_numbers_errors_directions_and_version(name):
    task = load_tasks([name])["tasks"][name]
    names = {*(PREFIX[name] + metric for metric in NUMBERS), "unscored"}
    assert set(task.aggregation()) == names | {f"{one}_stderr" for one in names}
    better = {one: higher for one, higher in task.higher_is_better().items() if "unscored" not in one}
    assert set(better.values()) == {name != "hp_qa"}
    assert (task.VERSION, task.config.metadata["chance"]) == (1, 0.25)


def test_a_chat_template_is_refused():
    task = load_tasks(["hp_qa"])["tasks"]["hp_qa"]
    with pytest.raises(ValueError, match="hp_qa is for raw text"):
        task.build_all_requests(limit=1, apply_chat_template=True, chat_template=lambda turns, **_: str(turns))
