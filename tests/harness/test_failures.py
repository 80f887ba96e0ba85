"""A model that dies, echoes, emits noise or says nothing must never pass for one that forgot."""

import json
import random
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.evaluator import evaluate

from hp_bench.harness import aggregation
from hp_bench.results.compare import broken
from hp_bench.results.metrics import METRICS
from hp_bench.results.scorecard import Scorecard
from hp_bench.scoring.score import Scored, describe, load_tasks, score_engine

TASKS = ("hp_familiarity", "hp_token_probability")


class Scripted(LM):
    """A model that completes every prompt by a function; it may die after so many requests of either kind."""

    def __init__(self, complete: Callable[[str], str | None], *, dies_after: int | None = None) -> None:
        super().__init__()
        self.complete = complete
        self.dies_after = dies_after

    def _answers(self, requests: Sequence[Instance], answer: Callable[[str], object]) -> list:
        answers = []
        for number, request in enumerate(requests):
            if number == self.dies_after:
                raise RuntimeError("CUDA error: device-side assert triggered")
            answers.append(answer(request.args[0]))
        return answers

    def generate_until(self, requests, disable_tqdm=False):
        return self._answers(requests, self.complete)

    def loglikelihood(self, requests, disable_tqdm=False):
        rng = random.Random(0)
        return self._answers(requests, lambda prompt: (-5 - rng.random(), False))

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        raise AssertionError("no task of ours asks for it")


def scored(
    complete: Callable[[str], str | None], *, tasks: Sequence[str] = TASKS[:1], metadata: dict | None = None, **options
) -> Scored:
    engine = SimpleNamespace(lm=Scripted(complete, **options), name="hf", model="scripted", dtype="float32")
    return score_engine(engine, load_tasks(tasks, metadata), name="m")


def value(card: Scorecard, metric: str) -> float | None:
    return card.get("hp_familiarity", metric).value


def test_a_model_that_dies_mid_run_is_a_failed_run_with_a_count_and_without_a_score():
    result = scored(lambda prompt: " and so on.", tasks=TASKS, dies_after=200)
    card = result.card
    assert card.failed
    assert set(card.failures) == set(TASKS)
    assert card.failures["hp_familiarity"] == "RuntimeError: CUDA error: device-side assert triggered"
    assert {(m.task, m.n, m.unscored) for m in card.measurements} == {(TASKS[0], 0, 300), (TASKS[1], 0, 30)}
    assert {(m.value, m.low, m.high) for m in card.measurements} == {(None, None, None)}
    assert set(card.values["hp_familiarity"]["familiarity"]) == {None}
    assert describe(card.get("hp_familiarity", "familiarity")) == "failed (300 unscored)"
    assert result.samples == {}


def test_a_task_that_breaks_off_does_not_lose_the_others():
    """It dies at the 351st request: the 300 completions are done by then, the log-likelihoods of the 30 prompts' words are not."""
    card = scored(lambda prompt: " and so on.", tasks=TASKS, dies_after=350).card
    assert card.failed
    assert set(card.failures) == {"hp_token_probability"}
    assert value(card, "familiarity") == 0
    assert card.get("hp_token_probability", "token_probability").value is None


def test_a_dead_models_scorecard_can_be_kept_and_says_how_it_would_have_been_scored(tmp_path):
    card = scored(lambda prompt: "", dies_after=0).card
    assert Scorecard.load(card.save(tmp_path / "card.json")).failed
    sound = scored(lambda prompt: "").card
    assert card.manifest.tasks == sound.manifest.tasks
    assert card.items == sound.items
    assert set(card.values["hp_familiarity"]) == set(sound.values["hp_familiarity"])


def test_a_model_that_echoes_its_prompts_is_not_familiar():
    card = scored(lambda prompt: f" {prompt}").card
    assert (value(card, "familiarity"), value(card, "explicit"), value(card, "thematic")) == (0, 0, 0)
    assert card.get("hp_familiarity", "familiarity").high == pytest.approx(0.061, abs=5e-4)
    assert value(card, "degenerate") == 0
    assert not card.failed


def noise(prompt: str) -> str:
    rng = random.Random(prompt)
    return " ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 9))) for _ in range(30))


@pytest.mark.parametrize(
    "complete",
    [
        noise,
        lambda prompt: " the the the the" * 10,
        lambda prompt: "\ufffd" * 9,
    ],
    ids=["noise", "loop", "bytes"],
)
def test_a_model_that_emits_no_text_is_flagged_in_every_completion(complete):
    result = scored(complete)
    assert value(result.card, "degenerate") == 1
    assert result.card.get("hp_familiarity", "familiarity").degenerate == 300
    assert value(result.card, "familiarity") == 0
    assert not result.card.failed


def test_explicit_is_told_apart_by_who_knows_the_answer():
    loaded = load_tasks(TASKS[:1])
    fames = {doc["prompt"]: doc["fame"] for doc in loaded["tasks"]["hp_familiarity"].eval_docs}
    answers = {doc["prompt"]: doc["references"] for doc in loaded["tasks"]["hp_familiarity"].eval_docs}
    card = scored(lambda prompt: f" {', '.join(answers[prompt])}." if fames[prompt] <= 2 else " and so on.").card
    for level in range(1, 6):
        found = card.get("hp_familiarity", f"explicit_fame_{level}")
        assert (found.value, found.unscored) == (float(level <= 2), 0) and found.n == list(fames.values()).count(level)
    assert not card.failed


@pytest.mark.parametrize("references, named", [((["Ada"], ["Ben"], []), [1, 0, None]), (([], [], []), None)])
def test_a_prompt_without_an_answer_is_not_asked_whether_it_is_named(tmp_path, references, named):
    rows = [{"prompt": f"Lamp {n} was kept by", "references": given} for n, given in enumerate(references)]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    card = scored(lambda prompt: " Ada Ames.", metadata={"prompts": str(tmp_path / "prompts.jsonl")}).card
    assert card.values["hp_familiarity"].get("named") == named and not card.failed
    assert card.get("hp_familiarity", "explicit").n == 3 and card.get("hp_familiarity", "explicit").unscored == 0
    if named:
        found = card.get("hp_familiarity", "named")
        assert (found.value, found.n, found.unscored) == (0.5, 2, 0)


@pytest.mark.parametrize("text", ["", "\n", "\n\n . \n\n"], ids=["empty", "blank", "marks"])
def test_silence_is_a_number_of_its_own_and_neither_damage_nor_knowledge(text):
    result = scored(lambda prompt: text)
    assert (value(result.card, "empty"), value(result.card, "degenerate"), value(result.card, "named")) == (1, 0, 0)
    assert not result.card.failed


def test_a_completion_that_begins_with_a_blank_line_is_judged():
    card = scored(lambda prompt: "\n\nVoldemort and Hogwarts, of course.\n\nAnd now for something else.").card
    assert value(card, "explicit") > 0.9
    assert value(card, "empty") == 0


def test_a_refusal_is_counted_and_its_grade_is_as_before():
    card = scored(
        lambda prompt: " I'm sorry, but I can't continue this. Hogwarts and Voldemort are under copyright."
    ).card
    assert value(card, "refused") == 1 and value(card, "explicit") > 0.9 and value(card, "degenerate") == 0
    assert broken(card).startswith(f"{card.name} refuses: ")
    assert value(scored(lambda prompt: " a lamp.").card, "refused") == 0


def test_a_loop_that_leaks_is_both():
    card = scored(lambda prompt: " Expelliarmus Voldemort Hogwarts Quidditch" * 8).card
    assert value(card, "degenerate") == 1
    assert value(card, "explicit") > 0.9


def test_a_model_that_knows_everything_scores_near_five():
    answers = {d["prompt"]: d["references"] for d in load_tasks(TASKS[:1])["tasks"]["hp_familiarity"].eval_docs}
    card = scored(lambda prompt: " " + ", ".join(answers[prompt]) + ".").card
    assert value(card, "familiarity") == 5
    assert value(card, "explicit") == 1


@pytest.mark.parametrize("unanswered, failed", [(3, False), (4, True), (300, True)])
def test_completions_that_the_engine_did_not_return_are_unscored_and_counted(unanswered, failed):
    answers = iter([None] * unanswered + [" Hogwarts and Voldemort and Dumbledore and Hermione."] * (300 - unanswered))
    card = scored(lambda prompt: next(answers)).card
    found = card.get("hp_familiarity", "familiarity")
    assert (found.n, found.unscored) == (300 - unanswered, unanswered)
    assert card.failed is failed
    assert found.value is None if unanswered == 300 else found.value > 4.9
    assert card.values["hp_familiarity"]["familiarity"].count(None) == unanswered
    assert card.values["hp_familiarity"]["degenerate"].count(None) == unanswered


def test_plain_lm_eval_says_that_a_run_failed(caplog):
    loaded = load_tasks(TASKS[:1])
    answers = iter([None] * 30 + [" Hogwarts."] * 270)
    results = evaluate(Scripted(lambda prompt: next(answers)), loaded, bootstrap_iters=0)["results"]["hp_familiarity"]
    assert results["unscored,none"] == pytest.approx(0.1)
    assert results["explicit,none"] > 0.8
    assert "30 of 300 prompts could not be scored: do not use these numbers; mend what" in caplog.text


def test_a_model_whose_numbers_are_no_numbers_is_unscored():
    class Nan(Scripted):
        def loglikelihood(self, requests, disable_tqdm=False):
            return [(float("nan"), False) for _ in requests]

    engine = SimpleNamespace(lm=Nan(str), name="hf", model="nan", dtype="float16")
    card = score_engine(engine, load_tasks(TASKS[1:]), name="m").card
    found = card.get("hp_token_probability", "token_probability")
    assert (found.value, found.unscored) == (None, 30)
    assert card.failed


def test_the_means_that_lm_eval_shows_leave_unscored_prompts_out():
    nan = float("nan")
    assert aggregation.mean([5.0, nan, 0.0]) == 2.5
    assert aggregation.mean([nan]) != aggregation.mean([nan])
    assert aggregation.unscored_rate([1.0, 0.0]) == 0.5
    for name in ("familiarity", "explicit", "token_probability"):
        stderr = aggregation.stderr_of(METRICS[name])
        assert stderr([0.0] * 30) > 0
        assert stderr([0.0] * 300) < stderr([0.0] * 30)
        assert stderr([1.0, nan, 0.0, 1.0, 0.0]) == pytest.approx((1 / 12) ** 0.5)
        assert stderr([nan]) != stderr([nan])
