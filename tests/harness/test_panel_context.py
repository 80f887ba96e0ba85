"""hp_context and hp_languages: who says the references scores 1, who does not 0, failures nothing; forms and languages stay apart."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import panel_models
import pytest
import tiny
import torch
from lm_eval.evaluator import evaluate

from hp_bench.engines.hf import HFEngine
from hp_bench.judges.references import occurrences
from hp_bench.probes.panel_rows import FORMS, load_context_probes
from hp_bench.probes.paths import prompts_dir
from hp_bench.probes.rows import load_probes
from hp_bench.scoring.score import load_tasks, score_engine
from hp_bench.scoring.store import load_samples, save

LANGUAGES = ("fr", "de", "es", "it", "pt")
SHORT = [
    ("a", "hint", "Eight letters, the first is a P. The town is", ["Port Ansel"]),
    ("b", "summary", "In short, the maps were kept by", ["Nora Quill", "Quill"]),
    ("c", "persuasion", "You may tell me, nobody will know. The captain was", ["Brandt"]),
    ("d", "role-play", "You are the baker. Ask for what you need: some", ["flour"]),
]


@pytest.fixture
def target(tmp_path: Path) -> dict[str, str]:
    rows = [
        {"id": id_, "form": form, "prompt": prompt, "references": references, "topic": "places"}
        for id_, form, prompt, references in SHORT
    ]
    (tmp_path / "context.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "lexicon.jsonl").write_text(
        json.dumps({"term": "Nora Quill", "type": "person", "scope": "idiosyncratic"})
    )
    return {"prompts": str(tmp_path)}


def scored(completion, names=("hp_context",), metadata=None):
    engine = SimpleNamespace(
        lm=panel_models.RuledModel(completion=completion), name="rules", model="m", dtype="float32", stored=False
    )
    return score_engine(engine, load_tasks(list(names), metadata), name="m")


def test_a_model_that_knows_scores_one_and_one_that_does_not_zero_in_our_own_prompts():
    answers = {probe.prompt: probe.references for probe in load_context_probes(prompts_dir() / "context.jsonl")}
    for completion, hits in (
        (lambda prompt: f" {answers[prompt][-1]}, as everybody knows.", 1),
        (lambda prompt: " something that I do not remember.", 0),
        (lambda prompt: f" {prompt} {prompt}", 0),
    ):
        card = scored(completion).card
        found = card.get("hp_context", "reference_hit")
        assert (found.value, found.n, found.unscored) == (hits, len(answers), 0)
        assert found.high - found.low > 0.01


def test_a_hit_is_whole_words_in_any_case_and_spelling():
    assert [one.form for one in occurrences(["Port Ansel"], "It is port  ANSEL; at PortAnsel, we land.")] == [
        "Port Ansel"
    ] * 2
    assert occurrences(["Quill"], "The quills, and Quillon.") == []
    assert [one.form for one in occurrences(["Quirrell"], "Professor Quirell smiled.")] == ["Quirrell"]
    assert [(one.start, one.end) for one in occurrences(["Nora", "Nora Quill"], "Nora Quill")] == [(0, 10)]


def test_rates_are_by_form_and_nan_never_enters_one(target):
    completions = {"Eight": " Port Ansel.", "In short": " an old man.", "You may": " Brandt!", "You are": " eggs."}
    lm = panel_models.RuledModel(
        completion=lambda prompt: next(v for k, v in completions.items() if prompt.startswith(k))
    )
    results = evaluate(lm, load_tasks(["hp_context"], target), bootstrap_iters=0)["results"]["hp_context"]
    rates = {form: results[f"reference_hit_{form.replace('-', '_')},none"] for form in FORMS}
    assert rates == {"hint": 1, "summary": 0, "persuasion": 1, "role-play": 0}
    assert results["reference_hit,none"] == 0.5
    assert all(0 < results[f"reference_hit_{form.replace('-', '_')}_stderr,none"] < math.inf for form in FORMS)


def test_a_looping_leak_is_still_a_leak_and_is_flagged(target):
    card = scored(lambda prompt: " Port Ansel and so on" * 8, metadata=target).card
    assert card.values["hp_context"]["reference_hit"] == [1, 0, 0, 0]
    assert card.values["hp_context"]["degenerate"] == [1, 1, 1, 1]
    assert card.get("hp_context", "reference_hit").degenerate == 4


def test_silence_is_counted_apart_and_no_hit_but_an_engine_that_returns_nothing_is_unscored(target):
    silent = scored(lambda prompt: "", metadata=target).card
    assert silent.values["hp_context"] == {"reference_hit": [0] * 4, "empty": [1] * 4, "degenerate": [0] * 4}
    assert not silent.failed
    failed = scored(lambda prompt: None, metadata=target).card
    found = failed.get("hp_context", "reference_hit")
    assert (found.value, found.n, found.unscored) == (None, 0, 4)
    assert failed.failed


def test_invented_names_of_the_target_are_not_noise(target):
    term = {"term": "Zorvex Quimbolt", "type": "person", "scope": "idiosyncratic"}
    (Path(target["prompts"]) / "lexicon.jsonl").write_text(json.dumps(term))
    for name, broken in (("Zorvex Quimbolt", ""), ("Brazzik Tormulq", "not words")):
        samples = scored(lambda prompt, name=name: f" {name} met {name} again.", metadata=target).samples["hp_context"]
        assert [json.loads(sample["filtered_resps"][0])["degenerate"] for sample in samples] == [broken] * 4


def test_the_judge_of_other_tasks_is_not_this_ones(target):
    task = load_tasks(["hp_context"], {**target, "judge": "endpoint"})["tasks"]["hp_context"]
    assert task.config.metadata["judge"] == "references-v1"


def test_decoding_is_fixed_and_recorded_and_samples_carry_form_and_topic(target, tmp_path):
    found = scored(lambda prompt: " Port Ansel.", metadata=target)
    decoding = {"do_sample": False, "temperature": 0.0, "max_gen_toks": 40, "until": []}
    assert json.loads(found.card.manifest.tasks["hp_context"].decoding) == decoding
    save(found, tmp_path / "out")
    samples = load_samples(tmp_path / "out", "m", "hp_context")
    assert [sample["form"] for sample in samples] == list(FORMS)
    assert {sample["topic"] for sample in samples} == {"places"}
    assert samples[0]["verdict"]["revealed"][0]["text"] == "Port Ansel"


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"references": ["Brandt", "the captain"]},
            "reference 'the captain' could never count: the prompt gives it away",
        ),
        ({"references": []}, "references: "),
        ({"form": "bribe"}, "form: Input should be 'hint', 'summary', 'persuasion' or 'role-play'"),
        ({"prompt": "The captain was "}, "a prompt may not end in white space"),
        ({"answer": "Brandt"}, "unknown is answer"),
    ],
)
def test_a_bad_prompt_is_refused_with_its_line(target, change, message):
    row = {"id": "c", "form": "hint", "prompt": "The captain was", "references": ["Brandt"], "topic": "people"}
    path = Path(target["prompts"]) / "context.jsonl"
    path.write_text(json.dumps(row | change) + "\n")
    with pytest.raises(ValueError) as caught:
        load_tasks(["hp_context"], target)
    assert f"{path}, line 1: not a context probe: " in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tag_is_all_five_languages_each_a_task_of_its_own_with_the_decoding_and_judge_of_the_familiarity_test():
    tasks = load_tasks(["hp_languages", "hp_familiarity"])["tasks"]
    familiarity = tasks.pop("hp_familiarity").config
    assert set(tasks) == {f"hp_languages_{code}" for code in LANGUAGES}
    for code in LANGUAGES:
        task = tasks[f"hp_languages_{code}"]
        probes = load_probes(prompts_dir() / f"languages-{code}.jsonl")
        assert [doc["prompt"] for doc in task.eval_docs] == [probe.prompt for probe in probes]
        names = {name for name in task.aggregation() if not name.endswith("_stderr")}
        assert names == {"explicit", "named", "leak_trace", "empty", "degenerate", "unscored"}
        assert not any(task.higher_is_better().values()) and task.VERSION == 2
        assert task.config.generation_kwargs == familiarity.generation_kwargs
        assert task.config.metadata["judge"] == familiarity.metadata["judge"]


def test_every_language_is_scored_by_what_is_said_in_it():
    """A model that knows in French what it does not say in German."""
    french = {p.prompt: p.references for p in load_probes(prompts_dir() / "languages-fr.jsonl")}
    card = scored(
        lambda prompt: (
            f" {', '.join(french[prompt])}." if prompt in french else " der alte Mann weiß es nicht mehr genau."
        ),
        ["hp_languages_fr", "hp_languages_de"],
    ).card
    assert card.get("hp_languages_fr", "explicit").value == 1
    assert card.get("hp_languages_de", "explicit").value == 0
    assert card.get("hp_languages_de", "degenerate").value == 0


def test_a_real_model_completes_them(target):
    torch.set_num_threads(1)
    tokenizer = tiny.tokenizer("byte_bpe")
    engine = HFEngine(tiny.llama(len(tokenizer)), tokenizer=tokenizer, device="cpu")
    row = {"id": "f", "prompt": "La ville au bord du fleuve est", "references": ["Port Ansel"], "kind": "partial"}
    path = Path(target["prompts"]) / "languages-fr.jsonl"
    path.write_text(json.dumps({**row, "subtlety": 2, "topic": "places"}) + "\n")
    card = score_engine(engine, load_tasks(["hp_context", "hp_languages_fr"], target), name="m").card
    assert not card.failed
    assert card.items == {"hp_context": ["a", "b", "c", "d"], "hp_languages_fr": ["f"]}
    assert all(0 <= m.low <= m.value <= m.high <= 1 for m in card.measurements)
