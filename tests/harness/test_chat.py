"""`hp_familiarity_chat`: through the chat template, refused without one, and never on one curve with the raw test."""

import json
from hashlib import sha256

import pytest
import tiny
import torch
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager
from scripted_server import serving

from hp_bench.engines.hf import HFEngine
from hp_bench.harness.familiarity_chat import digest
from hp_bench.probes.paths import tasks_dir
from hp_bench.results.compare import incomparable
from hp_bench.results.curve import Curve
from hp_bench.results.scorecard import Scorecard
from hp_bench.scoring.score import load_tasks, score_engine

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
PROBES = [
    {"id": f"q{n}", "prompt": prompt, "references": ["Nora Quill"], "kind": "partial", "subtlety": 2, "topic": "x"}
    for n, prompt in enumerate(["The keeper of the maps is", "On Lantern Street lives"])
]
BOTH = ["hp_familiarity", "hp_familiarity_chat"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A chat model, the same without its template, and prompts."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("chat")
    tok = tiny.tokenizer("metaspace_bpe")
    model = tiny.llama(len(tok))
    for name, template in (("chat", TEMPLATE), ("raw", None)):
        tok.chat_template = template
        model.save_pretrained(root / name)
        tok.save_pretrained(root / name)
    (root / "target").mkdir()
    (root / "target" / "familiarity.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PROBES))
    (root / "target" / "lexicon.jsonl").write_text(
        '{"term": "Nora Quill", "type": "person", "scope": "idiosyncratic"}\n'
    )
    return root


@pytest.fixture(scope="module")
def engine(folders):
    """What it says depends on all that it is given, and takes no time."""
    engine = HFEngine(str(folders / "chat"), device="cpu")
    engine.lm.generate_until = lambda requests, **_: [f" {sha256(repr(r.args).encode()).hexdigest()}" for r in requests]
    return engine


def by_lm_eval(engine, folders, model, tasks, **options):
    """As the command line does it: model_args are part of the metadata."""
    metadata = {"prompts": str(folders / "target"), **({"pretrained": str(folders / model)} if model else {})}
    manager = TaskManager(include_defaults=False, include_path=[tasks_dir()], metadata=metadata)
    return simple_evaluate(engine.lm, tasks=tasks, task_manager=manager, bootstrap_iters=0, **options)


def watched(engine, monkeypatch):
    asked = []
    real = engine.lm.generate_until
    monkeypatch.setattr(
        engine.lm, "generate_until", lambda requests, **o: (asked.extend(requests), real(requests, **o))[1]
    )
    return asked


def test_the_prompt_is_the_users_turn_and_the_raw_test_beside_it_stays_raw(engine, folders, monkeypatch):
    asked = watched(engine, monkeypatch)
    scored = score_engine(engine, load_tasks(BOTH, {"prompts": str(folders / "target")}), name="m")
    assert not scored.card.failed
    contexts = [request.args[0] for request in asked]
    assert contexts[:2] == [probe["prompt"] for probe in PROBES]
    assert contexts[2:] == [f"<s><|user|>{probe['prompt']}</s><|assistant|>" for probe in PROBES]
    assert [request.args[1]["until"] for request in asked] == [[], [], [], []]
    raw, chat = (scored.card.manifest.tasks[task] for task in BOTH)
    assert raw.chat_template == ""
    assert chat.chat_template == digest(TEMPLATE, {}, "")
    assert (raw.prompts_sha256, raw.judge, raw.n) == (chat.prompts_sha256, chat.judge, chat.n)


def test_one_beginning_of_text_is_enough(engine, folders):
    ids = engine.lm.tok_encode(f"<s><|user|>{PROBES[0]['prompt']}</s><|assistant|>")
    assert ids.count(engine.lm.tokenizer.bos_token_id) == 1


@pytest.mark.parametrize("flag", [True, False])
def test_plain_lm_eval_applies_the_template_with_its_flag_and_without(engine, folders, flag):
    found = by_lm_eval(engine, folders, "chat", ["hp_familiarity_chat"], apply_chat_template=flag)
    ours = score_engine(engine, load_tasks(["hp_familiarity_chat"], {"prompts": str(folders / "target")}), name="m")
    samples, expected = found["samples"]["hp_familiarity_chat"], ours.samples["hp_familiarity_chat"]
    assert [s["arguments"] for s in samples] == [s["arguments"] for s in expected]
    assert [s["resps"] for s in samples] == [s["resps"] for s in expected]
    metadata = found["configs"]["hp_familiarity_chat"]["metadata"]
    assert metadata["chat_template"] == ours.card.manifest.tasks["hp_familiarity_chat"].chat_template


@pytest.mark.parametrize("flag", [True, False])
def test_a_model_without_a_template_is_refused_in_one_sentence_before_anything_is_generated(folders, monkeypatch, flag):
    raw = HFEngine(str(folders / "raw"), device="cpu")
    asked = watched(raw, monkeypatch)
    with pytest.raises(ValueError) as caught:
        by_lm_eval(raw, folders, "raw", ["hp_familiarity_chat"], apply_chat_template=flag)
    assert str(caught.value).startswith("hp_familiarity_chat needs a chat template and the model's tokenizer has none")
    assert "\n" not in str(caught.value)
    card = score_engine(raw, load_tasks(["hp_familiarity_chat"], {"prompts": str(folders / "target")}), name="m").card
    assert "needs a chat template" in card.failures["hp_familiarity_chat"]
    assert card.get("hp_familiarity_chat", "familiarity").value is None
    assert asked == []


def test_a_model_that_lm_eval_does_not_name_is_asked_without_the_flag_too(engine, folders):
    found = [by_lm_eval(engine, folders, None, ["hp_familiarity_chat"], apply_chat_template=flag) for flag in (0, 1)]
    one, other = (each["samples"]["hp_familiarity_chat"] for each in found)
    assert [s["arguments"] for s in one] == [s["arguments"] for s in other]
    assert "<|user|>" in one[0]["arguments"][0][0]


def test_without_a_model_to_be_asked_it_is_refused(folders):
    loaded = load_tasks(["hp_familiarity_chat"], {"prompts": str(folders / "target")})
    with pytest.raises(ValueError, match="run it with --apply_chat_template"):
        loaded["tasks"]["hp_familiarity_chat"].build_all_requests(limit=1)


@pytest.mark.parametrize("task", ["hp_familiarity", "hp_token_probability"])
@pytest.mark.parametrize("flag, options", [("--apply_chat_template", {"apply_chat_template": True}), ("--system_instruction", {"system_instruction": "Be brief."})])  # fmt: skip
def test_the_raw_tests_refuse_a_template_and_a_system_instruction(engine, monkeypatch, task, flag, options):
    asked = watched(engine, monkeypatch)
    manager = TaskManager(include_defaults=False, include_path=[tasks_dir()])
    with pytest.raises(ValueError, match=f"{task} is for raw text: run it without {flag}, or run hp_familiarity_chat"):
        simple_evaluate(engine.lm, tasks=[task], task_manager=manager, bootstrap_iters=0, limit=1, **options)
    assert asked == []


def test_a_system_instruction_is_part_of_the_chat_test_and_of_its_digest(engine, folders):
    found = by_lm_eval(
        engine, folders, "chat", ["hp_familiarity_chat"], apply_chat_template=True, system_instruction="Be brief."
    )
    assert found["samples"]["hp_familiarity_chat"][0]["arguments"][0][0].startswith(
        "<s><|system|>Be brief.</s><|user|>"
    )
    metadata = found["configs"]["hp_familiarity_chat"]["metadata"]
    assert metadata["chat_template"] == digest(TEMPLATE, {}, "Be brief.") != digest(TEMPLATE, {}, "")


def test_the_digest_is_the_templates_its_arguments_and_the_instructions():
    assert (
        digest(TEMPLATE, {}, "")
        == digest(TEMPLATE, {"enable_thinking": None}, "")
        == digest(TEMPLATE, {"enable_thinking": True}, "")
    )
    assert len({digest(*one) for one in ((TEMPLATE, {}, ""), (TEMPLATE + " ", {}, ""), (TEMPLATE, {"enable_thinking": False}, ""), (TEMPLATE, {}, "x"))}) == 4  # fmt: skip


def card(engine, folders, task, *, step, template=TEMPLATE) -> Scorecard:
    engine.lm.tokenizer.chat_template = template
    try:
        loaded = load_tasks([task], {"prompts": str(folders / "target")})
        return score_engine(engine, loaded, name=f"checkpoint-{step}", step=step).card
    finally:
        engine.lm.tokenizer.chat_template = TEMPLATE


def test_raw_and_chat_and_two_templates_are_never_compared_nor_on_one_curve(engine, folders):
    raw = card(engine, folders, "hp_familiarity", step=0)
    chat = card(engine, folders, "hp_familiarity_chat", step=1)
    other = card(engine, folders, "hp_familiarity_chat", step=2, template=TEMPLATE.replace("<|user|>", "USER: ") + " ")
    again = card(engine, folders, "hp_familiarity_chat", step=3)
    assert "no task in common" in incomparable(raw, chat)[0]
    assert any("their chat templates differ" in reason for reason in incomparable(chat, other))
    assert incomparable(chat, again) == []
    Curve("chat", (chat, again))
    for pair in ((raw, chat), (chat, other)):
        with pytest.raises(ValueError, match="do not compare"):
            Curve("mixed", pair)


def test_a_served_chat_model_is_asked_through_its_servers_template(folders):
    from lm_eval.models.openai_completions import LocalChatCompletion

    with serving(lambda message, attempt: " Nora Quill, of course.") as server:
        lm = LocalChatCompletion(base_url=f"{server.url}/chat/completions", model="m")
        manager = TaskManager(
            include_defaults=False, include_path=[tasks_dir()], metadata={"prompts": str(folders / "target")}
        )
        found = simple_evaluate(
            lm, tasks=["hp_familiarity_chat"], task_manager=manager, bootstrap_iters=0, apply_chat_template=True
        )
    assert sorted(server.asked) == sorted(probe["prompt"] for probe in PROBES)
    assert found["results"]["hp_familiarity_chat"]["explicit,none"] == 1.0
    assert found["configs"]["hp_familiarity_chat"]["metadata"]["chat_template"] == digest("the server's own", {}, "")
