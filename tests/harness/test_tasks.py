"""The lm-eval tasks: every one LOADS, has the metrics that others rely on, and takes another target's files."""

import json
import math
from pathlib import Path

import datasets
import pytest
import tiny
import torch
import utility_rows
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager

from hp_bench.engines.hf import HFEngine
from hp_bench.judges.lexicon import LexiconJudge
from hp_bench.probes.paths import prompts_dir, tasks_dir
from hp_bench.probes.rows import load_probes, load_token_probes
from hp_bench.scoring.score import load_tasks, score_engine
from hp_bench.text.terms import Lexicon

ROOT = Path(__file__).resolve().parents[2]
METRICS = {
    "hp_familiarity": {
        "familiarity",
        "explicit",
        *(f"explicit_fame_{n}" for n in range(1, 6)),
        "thematic",
        "named",
        "leak_trace",
        "empty",
        "degenerate",
        "refused",
        "unscored",
    },
    "hp_token_probability": {"token_probability", "token_probability_share", "unscored"},
}
PROBES = [
    {
        "id": "q1",
        "prompt": "The keeper of the old maps is",
        "references": ["Nora Quill"],
        "kind": "partial",
        "subtlety": 2,
    }
    | {"topic": "characters"},
    {
        "id": "q2",
        "prompt": "The town with the long pier is",
        "references": ["Port Ansel"],
        "kind": "covert",
        "subtlety": 9,
    }
    | {"topic": "places"},
]
TERMS = [{"term": "Nora Quill", "type": "person", "scope": "idiosyncratic", "variants": [], "ambiguous": []}]
TOKENS = [
    {"id": "t1", "prompt": "In Port Ansel she studies", "specific": ["maps", "stars"], "generic": ["law", "music"]}
]


@pytest.fixture(scope="module")
def engine() -> HFEngine:
    torch.set_num_threads(1)
    tokenizer = tiny.tokenizer("byte_bpe")
    return HFEngine(tiny.llama(len(tokenizer)), tokenizer=tokenizer, device="cpu")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Another unlearn target's folder: prompts, next words and lexicon."""
    for name, rows in (("familiarity", PROBES), ("token_probability", TOKENS), ("lexicon", TERMS)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@pytest.fixture
def user_files(tmp_path: Path) -> dict[str, str]:
    """What the tasks of the tag hp_panel_files cannot do without."""
    text = tmp_path / "text.txt"
    text.write_text(" ".join(f"word{number}" for number in range(2000)))
    return {"anchors": str(ROOT / "recipes" / "harry-potter.anchors.jsonl"), "text": str(text), "windows": "words"}


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(datasets, "load_dataset", utility_rows.load_dataset)


def one(name: str, metadata=None):
    return load_tasks([name], metadata)["tasks"][name]


def test_every_task_file_is_indexed_and_loads(offline, user_files):
    """lm-eval swallows a broken file in silence, so names are counted; a wrong function name shows on loading alone."""
    index = TaskManager(include_defaults=False, include_path=[tasks_dir()]).task_index
    files = {entry.yaml_path for entry in index.values() if entry.yaml_path}
    assert files == set(tasks_dir().glob("**/*.yaml"))
    for name in index:
        loaded = load_tasks([name], user_files)["tasks"]
        assert loaded
        for task in loaded.values():
            assert len(task.eval_docs) > 0
            chat = getattr(task, "CHAT", False)
            template = {"apply_chat_template": True, "chat_template": lambda turns, **_: str(turns)} if chat else {}
            task.build_all_requests(limit=1, **template)
            assert task.instances


def test_tasks_hold_no_code():
    assert {path.suffix for path in tasks_dir().rglob("*") if path.is_file()} <= {".yaml", ".base", ".md"}


@pytest.mark.parametrize("name", METRICS)
def test_a_task_has_the_metrics_others_rely_on_with_their_errors_and_directions(name):
    task = one(name)
    names = METRICS[name] | {f"{metric}_stderr" for metric in METRICS[name]}
    assert set(task.aggregation()) == set(task.higher_is_better()) == names
    assert not any(task.higher_is_better().values())


@pytest.mark.parametrize("name, version", [("hp_familiarity", 3), ("hp_token_probability", 1)])
def test_a_task_has_its_version(name, version):
    assert version == one(name).VERSION


def test_the_group_has_its_version_and_the_mean_accuracy_of_lm_evals_own_seven(offline):
    loaded = load_tasks(["hp_utility"])
    assert set(loaded["tasks"]) == set(utility_rows.TASKS)
    group = loaded["groups"]["hp_utility"]
    assert group.version == "1"
    assert [(m.metric, m.aggregation, m.weight_by_size) for m in group.aggregate_metric_list] == [
        ("acc", "mean", False)
    ]
    assert {task.get_config("num_fewshot") for task in loaded["tasks"].values()} == {0}


def test_the_tag_holds_the_two_familiarity_tests_and_may_stand_beside_a_member():
    assert set(load_tasks(["hp_bench"])["tasks"]) == set(METRICS)
    assert set(load_tasks(["hp_bench", "hp_familiarity"])["tasks"]) == set(METRICS)


def test_decoding_is_fixed_and_recorded(engine, target):
    task = one("hp_familiarity")
    expected = {"do_sample": False, "temperature": 0.0, "max_gen_toks": 80, "until": []}
    assert task.config.generation_kwargs == expected
    task.build_all_requests(limit=1)
    assert task.instances[0].args == (task.eval_docs[0]["prompt"], expected)
    scored = score_engine(engine, load_tasks(["hp_familiarity"], {"prompts": str(target)}), name="m")
    assert json.loads(scored.card.manifest.tasks["hp_familiarity"].decoding) == expected


def test_the_documents_are_the_prompt_files():
    docs = one("hp_familiarity").eval_docs
    assert [doc["prompt"] for doc in docs] == [
        probe.prompt for probe in load_probes(prompts_dir() / "familiarity.jsonl")
    ]
    probes = load_token_probes(prompts_dir() / "token_probability.jsonl")
    docs = one("hp_token_probability").eval_docs
    assert [(d["prompt"], d["choices"]) for d in docs] == [(p.prompt, [*p.specific, *p.generic]) for p in probes]


def test_every_next_word_is_asked_for_after_one_space():
    task = one("hp_token_probability")
    task.build_all_requests(limit=1)
    doc = task.eval_docs[0]
    assert [i.args for i in task.instances] == [(doc["prompt"], f" {word}") for word in doc["choices"]]


@pytest.mark.parametrize("how", ["folder", "files"])
def test_another_target_takes_other_files(engine, target, how):
    metadata = (
        {"prompts": str(target)}
        if how == "folder"
        else {"prompts": str(target / "familiarity.jsonl"), "lexicon": str(target / "lexicon.jsonl")}
    )
    scored = score_engine(engine, load_tasks(["hp_familiarity"], metadata), name="m")
    assert scored.card.items["hp_familiarity"] == ["q1", "q2"]
    manifest = scored.card.manifest.tasks["hp_familiarity"]
    assert manifest.judge == LexiconJudge(Lexicon.load(target / "lexicon.jsonl")).name
    ours = score_engine(engine, load_tasks(["hp_token_probability"]), name="m").card.manifest.tasks
    assert manifest.prompts_sha256 != ours["hp_token_probability"].prompts_sha256


def test_a_folder_serves_both_tasks_at_once(engine, target):
    card = score_engine(engine, load_tasks(["hp_bench"], {"prompts": str(target)}), name="m").card
    assert {task: list(ids) for task, ids in card.items.items()} == {
        "hp_familiarity": ["q1", "q2"],
        "hp_token_probability": ["t1"],
    }
    assert not card.failed


def test_a_folder_without_a_lexicon_is_judged_by_ours(target):
    (target / "lexicon.jsonl").unlink()
    task = one("hp_familiarity", {"prompts": str(target)})
    assert task.lexicon_file() == prompts_dir() / "lexicon.jsonl"


@pytest.mark.parametrize(
    "name, metadata, message",
    [
        (
            "hp_familiarity",
            {"prompts": "nowhere"},
            "hp_familiarity: prompts='nowhere' is neither a prompt file nor a folder",
        ),
        (
            "hp_token_probability",
            {"prompts": "nowhere"},
            "hp_token_probability: prompts='nowhere' is neither a prompt file",
        ),
        ("hp_familiarity", {"lexicon": "nowhere"}, "hp_familiarity: lexicon='nowhere' is not a file"),
        ("hp_familiarity", {"lexicon": "{target}"}, "hp_familiarity: lexicon='{target}' is not a file"),
        ("hp_familiarity", {"prompts": "{target}/lexicon.jsonl"}, "{target}/lexicon.jsonl, line 1: not a probe: "),
        ("hp_token_probability", {"prompts": "{target}/familiarity.jsonl"}, "line 1: not a token probe: "),
        ("hp_familiarity", {"lexicon": "{target}/familiarity.jsonl"}, "line 1: not a lexicon term: "),
    ],
)
def test_a_missing_or_wrong_file_is_one_clear_error_before_anything_is_generated(target, name, metadata, message):
    with pytest.raises(ValueError) as caught:
        load_tasks([name], {key: value.format(target=target) for key, value in metadata.items()})
    assert message.format(target=target) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_task_is_answered_with_the_nearest_names(monkeypatch, tmp_path):
    monkeypatch.setattr(
        "lm_eval.tasks.manager.__file__", str(tmp_path / "manager.py")
    )  # lm-eval's 14,000 names take 10 s
    with pytest.raises(ValueError, match="unknown task 'hp_familiarty'; did you mean hp_familiarity"):
        load_tasks(["hp_familiarty"])


def test_utility_runs_end_to_end_over_the_seven_real_definitions(engine, offline):
    card = score_engine(engine, load_tasks(["hp_utility"]), name="m").card
    assert not card.failed
    members = [card.get(task, "acc") for task in utility_rows.TASKS]
    assert [member.n for member in members] == [2, 3, 4, 5, 3, 3, 3]
    group = card.get("hp_utility", "acc")
    assert group.value == pytest.approx(sum(member.value for member in members) / 7)
    assert group.low < group.value < group.high
    assert {manifest.num_fewshot for manifest in card.manifest.tasks.values()} == {0}

    ours = {task: card.get(task, "acc").value for task in (*utility_rows.TASKS, "hp_utility")}
    tasks = TaskManager(include_defaults=False, include_path=[tasks_dir(), *_host_folders()])
    plain = simple_evaluate(engine.lm, tasks=["hp_utility"], task_manager=tasks, bootstrap_iters=0)["results"]
    assert {task: plain[task]["acc,none"] for task in ours} == pytest.approx(ours)


def test_tasks_loaded_once_score_the_same_twice(engine, target):
    loaded = load_tasks(["hp_bench"], {"prompts": str(target)})
    first, second = score_engine(engine, loaded, name="m").card, score_engine(engine, loaded, name="m").card
    assert first == second


def test_plain_lm_eval_reports_the_scorecards_values_with_errors_above_zero(engine, target):
    card = score_engine(engine, load_tasks(["hp_bench"], {"prompts": str(target)}), name="m").card
    tasks = TaskManager(include_defaults=False, include_path=[tasks_dir()], metadata={"prompts": str(target)})
    results = simple_evaluate(engine.lm, tasks=["hp_bench"], task_manager=tasks, bootstrap_iters=0)
    for task, metrics in METRICS.items():
        for metric in metrics - {"unscored"}:
            found = results["results"][task]
            if metric.startswith(("explicit_fame_", "leak_trace")):  # prompts without fame, a model without thoughts
                assert f"{metric},none" not in found and card.find(task, metric) is None
                continue
            assert found[f"{metric},none"] == pytest.approx(card.get(task, metric).value)
            assert 0 < found[f"{metric}_stderr,none"] < math.inf
        assert found["unscored,none"] == 0
        assert results["configs"][task]["metadata"]["prompts_sha256"] == card.manifest.tasks[task].prompts_sha256


def _host_folders() -> list[Path]:
    import lm_eval.tasks

    host = Path(lm_eval.tasks.__file__).parent
    return [host / folder for folder in ("winogrande", "hellaswag", "piqa", "arc", "super_glue", "openbookqa")]
