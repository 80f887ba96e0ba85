"""Real vLLM: chat prompts, grades and judges are the same as with transformers."""

import json

import pytest
import tiny
import torch

from hp_bench.judges.registry import choose_judge
from hp_bench.probes.foreign import stand_in
from hp_bench.text.terms import Lexicon, Term

pytestmark = pytest.mark.vllm

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
TASKS = ["hp_familiarity", "hp_familiarity_chat"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tok = tiny.tokenizer("metaspace_bpe")
    tok.chat_template = TEMPLATE
    llama = tiny.llama(len(tok), context=2048)
    unsaid = [number for token, number in tok.get_vocab().items() if token.startswith("<0x")] + tok.all_special_ids
    with torch.no_grad():
        llama.lm_head.weight[unsaid] = 0  # the engines print special tokens and broken characters differently
    llama.save_pretrained(folder)
    tok.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def vllm_engine(model):
    from hp_bench.engines.vllm import VLLMEngine

    engine = VLLMEngine(model, dtype="float32", max_model_len=2048)
    yield engine
    close = getattr(engine, "close", None)
    if close is not None:
        close()


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """Ten prompts whose lexicon a tiny model of these words is likely to hit."""
    folder = tmp_path_factory.mktemp("target")
    names = ["market", "lantern", "river", "archivist", "Nora", "Brandt", "map", "owl", "cello", "tower"]
    rows = [
        {"id": f"q{n}", "prompt": f"On day {n} the keeper spoke of", "references": [name], "kind": "partial", "subtlety": 2, "topic": "x"}
        for n, name in enumerate(names)
    ]  # fmt: skip
    terms = [
        {"term": name, "type": "x", "scope": "idiosyncratic" if n % 2 else "thematic"} for n, name in enumerate(names)
    ]
    for name, lines in (("familiarity", rows), ("lexicon", terms)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(folder)


def test_raw_and_chat_completions_get_the_same_grades_and_manifests_from_both_engines(model, vllm_engine, target):
    from hp_bench.engines.hf import HFEngine
    from hp_bench.scoring.score import load_tasks, score_engine

    cards = [
        score_engine(engine, load_tasks(TASKS, {"prompts": target}), name="m").card
        for engine in (HFEngine(model, device="cpu", dtype="float32"), vllm_engine)
    ]
    hf, vllm = cards
    assert not hf.failures | vllm.failures
    for task in TASKS:
        assert vllm.manifest.tasks[task] == hf.manifest.tasks[task]
        for metric in ("familiarity", "explicit", "thematic"):
            assert vllm.values[task][metric] == hf.values[task][metric]
    assert hf.manifest.tasks["hp_familiarity_chat"].chat_template
    assert any(value for task in TASKS for value in hf.values[task]["familiarity"]), "nothing to agree about"


def test_a_model_in_vllm_is_a_judge_whose_replies_are_those_of_transformers(model, vllm_engine):
    items = [(stand_in(f"p{n}", f"The keeper of map {n} is"), f" person number {n}.") for n in range(3)]
    lexicon = Lexicon([Term("Nora", "person", "idiosyncratic")])
    replies = {}
    for kind, options in (
        ("hf", {"judge_device": "cpu"}),
        ("vllm", {"judge_enforce_eager": True, "judge_max_model_len": 2048}),
    ):
        chosen = {
            "judge": kind,
            "judge_pretrained": model,
            "judge_dtype": "float32",
            "judge_cache": "none",
            "judge_max_tokens": 12,
        }
        judge = choose_judge({**chosen, **options}, lexicon)
        if kind == "vllm":
            judge.respondent._loaded = vllm_engine.lm  # one engine a process is enough
        verdicts = judge.grade(items)
        assert {verdict.grade for verdict in verdicts} == {None}  # noise is no verdict
        assert all("cut off" in v.unscored or "no verdict" in v.unscored for v in verdicts)
        replies[kind] = [v.reply.strip() for v in verdicts]
    assert replies["hf"] == replies["vllm"]
    assert all(replies["hf"])
