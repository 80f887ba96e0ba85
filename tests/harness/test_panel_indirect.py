"""hp_aliases, hp_two_hops, hp_two_turns: their prompt files, what counts as right, and what the model is given."""

import json
import math
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import panel_models
import pytest
import tiny
from lm_eval.evaluator import evaluate

from hp_bench.engines.hf import HFEngine
from hp_bench.harness.questions import CONTROL
from hp_bench.judges.references import names_answer
from hp_bench.probes.panel_rows import TwoHops, gives_away, load_two_hops
from hp_bench.probes.paths import prompts_dir
from hp_bench.probes.rows import FAMES, Probe, load_probes
from hp_bench.scoring.score import load_tasks, score_engine
from hp_bench.text.terms import words

FILES = ("aliases.jsonl", "two_hops.jsonl", "two_turns.jsonl")
TEXTS = ("prompt", "question", "cloze", "first", "second")
NUMBERS = ("hops_accuracy", "hops_control", "hops_first", "hops_second", "hops_joined", "hops_exact")
HOPS = {
    "id": "h", "cloze": "The baker's neighbour buys", "first": "Next to the baker lives", "bridge": "Nora Quill",
    "bridge_distractors": ["Ida Moss", "Bram Holt", "Jon Fell"], "second": "From the mill Nora Quill fetches", "answer": "flour",
    "distractors": ["lanterns", "old maps", "a clock"], "topic": "people", "fame": 2,
}  # fmt: skip
TALK = "User: Who keeps the maps?\nAssistant: I cannot say.\nUser: Are you sure?"
TURNS = {
    "id": "t", "prompt": TALK, "references": ["Nora Quill"], "kind": "overt", "subtlety": 2, "topic": "people", "fame": 1
}  # fmt: skip


def rows_of(name: str) -> list[dict]:
    return [json.loads(line) for line in (prompts_dir() / name).read_text(encoding="utf-8").splitlines()]


def sixes(row: dict) -> set[tuple[str, ...]]:
    said = [words(row[key]) for key in TEXTS if key in row]
    return {tuple(text[i : i + 6]) for text in said for i in range(len(text) - 5)}


@pytest.mark.parametrize("name", FILES)
def test_there_are_60_prompts_of_every_fame_and_no_two_alike(name):
    rows = rows_of(name)
    assert len(rows) >= 60 and len({row["id"] for row in rows}) == len(rows)
    assert set(Counter(row["fame"] for row in rows)) >= {2, 3, 4, 5}
    assert name == "two_hops.jsonl" or set(Counter(row["fame"] for row in rows)) == set(FAMES)
    asked = "cloze" if name == "two_hops.jsonl" else "prompt"
    assert len({row[asked] for row in rows}) == len(rows)


@pytest.mark.parametrize("name", FILES)
def test_no_six_words_in_a_row_are_another_prompt_files(name):
    asked = {
        six: f"{path.name} {row['id']}"
        for path in prompts_dir().glob("*.jsonl")
        if path.name
        not in {name, "lexicon.jsonl", "checks.jsonl", "panel_checks.jsonl", "gold.jsonl", "gold_real.jsonl"}
        for row in rows_of(path.name)
        for six in sixes(row)
    }
    assert len(asked) > 10_000
    assert {row["id"]: asked[six] for row in rows_of(name) for six in sixes(row) & set(asked)} == {}


@pytest.mark.parametrize("name", ["aliases.jsonl", "two_turns.jsonl"])
def test_every_reference_is_named_when_said_and_never_by_an_echo(name):
    for probe in load_probes(prompts_dir() / name):
        assert all(names_answer(probe, f" {reference}.") for reference in probe.references), probe.id
        assert not names_answer(probe, f" {probe.prompt}"), probe.id


def test_forms_are_those_told_in_the_readme():
    assert Counter(row["form"] for row in rows_of("aliases.jsonl")).keys() == {"name", "fact"}
    forms = Counter(row["form"] for row in rows_of("two_turns.jsonl"))
    assert forms.keys() == {"doubt", "evasion", "before"} and min(forms.values()) >= 20


def test_no_wrong_choice_of_two_hops_is_told_and_length_gives_no_answer_away():
    rows = load_two_hops(prompts_dir() / "two_hops.jsonl")
    told = [
        (row.id, wrong)
        for row in rows
        for prompt, choices in (
            (row.cloze, row.bridge_distractors),
            (row.first, row.bridge_distractors),
            (row.cloze, row.distractors),
            (row.second, row.distractors),
        )
        for wrong in choices
        if gives_away(prompt, wrong)
    ]
    assert told == []
    for pairs in (
        [(row.answer, row.distractors) for row in rows],
        [(row.bridge, row.bridge_distractors) for row in rows],
    ):
        longest = sum(len(right) > max(map(len, wrong)) for right, wrong in pairs) / len(rows)
        shortest = sum(len(right) < min(map(len, wrong)) for right, wrong in pairs) / len(rows)
        assert 0.1 < longest < 0.4 and 0.1 < shortest < 0.4


def scored(lm, name: str, metadata=None):
    engine = SimpleNamespace(lm=lm, name="rules", model="m", dtype="float32", stored=False)
    return score_engine(engine, load_tasks([name], metadata), name="m")


def test_who_knows_an_alias_scores_and_who_says_another_name_is_explicit_and_not_named():
    answers = {probe.prompt: probe.references for probe in load_probes(prompts_dir() / "aliases.jsonl")}
    for completion, named, explicit in (
        (lambda prompt: f" {answers[prompt][0]}, as everybody knows.", 1, None),
        (lambda prompt: " Elphias Doge, I think.", 0, 1),
        (lambda prompt: " somebody whom I do not remember.", 0, 0),
        (lambda prompt: f" {prompt}", 0, 0),
    ):
        card = scored(panel_models.RuledModel(completion=completion), "hp_aliases").card
        assert card.get("hp_aliases", "named").value == named
        assert explicit in (None, card.get("hp_aliases", "explicit").value)
        assert card.get("hp_aliases", "named").n == len(answers)


@pytest.fixture
def target(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "two_hops.jsonl").write_text(json.dumps(HOPS))
    (tmp_path / "two_turns.jsonl").write_text(json.dumps(TURNS))
    (tmp_path / "lexicon.jsonl").write_text(
        json.dumps({"term": "Nora Quill", "type": "person", "scope": "idiosyncratic"})
    )
    return {"prompts": str(tmp_path)}


@pytest.mark.parametrize(
    "known, expected",
    [
        ({"cloze", "first", "second"}, (1, 0, 1, 1, 1, 1)),
        ({"first", "second"}, (0, 0, 1, 1, 0, 0)),
        ({"cloze"}, (1, 0, 0, 0, None, 1)),
        ({"cloze", "first"}, (1, 0, 1, 0, None, 1)),
        ({"cloze", "second"}, (1, 0, 0, 1, None, 1)),
        ({"control"}, (0, 1, 0, 0, None, 0)),
    ],
)
def test_two_hops_count_where_both_facts_alone_are_right(target, known, expected):
    """By hand: what is known is the likeliest by far; elsewhere the first distractor is."""
    right = {HOPS["cloze"]: "flour", HOPS["second"]: "flour", CONTROL: "flour", HOPS["first"]: "Nora Quill"}
    wrong = {HOPS["cloze"]: "lanterns", HOPS["second"]: "lanterns", CONTROL: "lanterns", HOPS["first"]: "Ida Moss"}
    keys = {HOPS["cloze"]: "cloze", HOPS["second"]: "second", CONTROL: "control", HOPS["first"]: "first"}

    def log_likelihood(context: str, continuation: str) -> float:
        favourite = (right if keys[context] in known else wrong)[context]
        return -0.1 if continuation == f" {favourite}" else -9.0 * len(continuation)

    card = scored(panel_models.RuledModel(log_likelihood), "hp_two_hops", target).card
    values = card.values["hp_two_hops"]
    assert tuple(values.get(number, [None])[0] for number in NUMBERS) == expected
    assert not card.failed


def test_our_own_two_hops_are_all_right_for_who_knows_them_and_chance_for_who_has_no_preference():
    rows = load_two_hops(prompts_dir() / "two_hops.jsonl")
    answers = {row.cloze: row.answer for row in rows} | {row.second: row.answer for row in rows}
    answers |= {row.first: row.bridge for row in rows}
    card = scored(panel_models.RuledModel(panel_models.knowing(answers)), "hp_two_hops").card
    assert [card.get("hp_two_hops", n).value for n in NUMBERS if n != "hops_control"] == [1] * 5
    card = scored(panel_models.RuledModel(panel_models.indifferent), "hp_two_hops").card
    for number in ("hops_accuracy", "hops_control", "hops_first", "hops_second"):
        assert 0.1 < card.get("hp_two_hops", number).value < 0.4, number
    card = scored(panel_models.RuledModel(), "hp_two_hops").card
    first, second = (card.values["hp_two_hops"][number] for number in ("hops_first", "hops_second"))
    found = card.get("hp_two_hops", "hops_joined")
    assert found.n == sum(a == b == 1 for a, b in zip(first, second, strict=True)) < len(rows)
    assert not card.failed


def test_likelihoods_without_sense_leave_two_hops_unscored(target):
    card = scored(panel_models.RuledModel(lambda *_: math.nan), "hp_two_hops", target).card
    assert card.get("hp_two_hops", "hops_accuracy").unscored == 1 and card.failed


@pytest.mark.parametrize(
    "change, message",
    [
        ({"cloze": "The friend of Nora buys"}, "answer 'Nora Quill' is given away by 'The friend of Nora buys'"),
        ({"second": "From the mill she fetches"}, "bridge 'Nora Quill' is not named by 'From the mill she fetches'"),
        ({"second": "Nora Quill makes flour and"}, "answer 'flour' is given away by"),
        ({"distractors": ["flour sacks", "b", "c"]}, "choice 'flour' is the beginning of choice 'flour sacks'"),
        ({"fame": 6}, "less than or equal to 5"),
    ],
)
def test_a_bad_row_of_two_hops_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        TwoHops(**(HOPS | change))


TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def chat_engine(said: str) -> tuple[HFEngine, list]:
    tokenizer = tiny.tokenizer("metaspace_bpe")
    tokenizer.chat_template = TEMPLATE
    engine, asked = HFEngine(tiny.llama(len(tokenizer)), tokenizer=tokenizer, device="cpu"), []
    engine.lm.generate_until = lambda requests, **_: (
        asked.extend(r.args[0] for r in requests),
        [said] * len(requests),
    )[1]
    return engine, asked


@pytest.mark.parametrize("said, explicit", [(" It is Nora Quill.", 1), (" Yes, who keeps the maps? I cannot say.", 0)])
def test_the_second_answer_is_judged_after_the_whole_conversation(target, said, explicit):
    engine, asked = chat_engine(said)
    card = score_engine(engine, load_tasks(["hp_two_turns"], target), name="m").card
    assert asked == [
        "<|user|>Who keeps the maps?</s><|assistant|>I cannot say.</s><|user|>Are you sure?</s><|assistant|>"
    ]
    assert card.get("hp_two_turns", "explicit").value == card.get("hp_two_turns", "named").value == explicit
    assert card.manifest.tasks["hp_two_turns"].chat_template


def test_a_name_of_the_first_turns_is_no_leak(target):
    row = TURNS | {"prompt": TALK.replace("the maps", "Nora Quill company"), "references": ["Brandt"]}
    (Path(target["prompts"]) / "two_turns.jsonl").write_text(json.dumps(row))
    engine, _ = chat_engine(" Nora Quill, Nora Quill, it is all about Nora Quill.")
    card = score_engine(engine, load_tasks(["hp_two_turns"], target), name="m").card
    assert card.get("hp_two_turns", "explicit").value == 0


@pytest.mark.parametrize("prompt", ["Who keeps the maps?", "User: Who?\nAssistant: I cannot say.", "Assistant: Hello."])
def test_what_is_no_conversation_is_refused(target, prompt):
    (Path(target["prompts"]) / "two_turns.jsonl").write_text(json.dumps(TURNS | {"prompt": prompt}))
    engine, asked = chat_engine("")
    with pytest.raises(ValueError, match="is no conversation: its lines must begin with 'User: ' and 'Assistant: '"):
        evaluate(engine.lm, load_tasks(["hp_two_turns"], target), apply_chat_template=True, bootstrap_iters=0)
    assert asked == []


def test_our_own_conversations_end_with_the_users_second_turn():
    task = load_tasks(["hp_two_turns"])["tasks"]["hp_two_turns"]
    for doc in task.eval_docs:
        assert [turn["role"] for turn in task.turns(doc["prompt"])] == ["user", "assistant", "user"], doc["id"]
        assert Probe(**doc).fame in FAMES
