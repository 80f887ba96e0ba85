"""The vLLM engine: seven checkpoints in one engine are seven fresh ones, adapters too; broken ones are a sentence; memory is flat."""

import gc
import json
import resource
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import small_prompts
import tiny
import torch
from broken_checkpoints import WRONG, broken
from own_settings import SETTINGS, with_json
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from hp_bench import curve, score
from hp_bench.engines import NeedsAnotherEngine
from hp_bench.engines.hf import HFEngine
from hp_bench.engines.loader import EngineSettings, Loader
from hp_bench.engines.vllm import VLLMEngine
from hp_bench.scoring.score import load_tasks, score_engine

pytestmark = pytest.mark.vllm

STEPS = (10, 20, 30, 40, 50, 60)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("vllm")
    tiny.save(root / "base", hidden=64)
    small_prompts.write(root / "prompts")
    tiny.save(root / "tied-base", tied=True)
    for step in STEPS[:2]:
        tiny.save(root / "tied" / f"checkpoint-{step}", seed=step, tied=True)
    for step in STEPS:
        tiny.save(root / "full" / f"checkpoint-{step}", seed=step)
        torch.manual_seed(step)
        settings = LoraConfig(r=4, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
        adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(root / "base"), settings)
        adapted.save_pretrained(root / "lora" / f"checkpoint-{step}")
    return root


@pytest.fixture(scope="module")
def tasks(place):
    found = load_tasks(["hp_bench"], {"prompts": str(place / "prompts")})
    found["tasks"]["hp_familiarity"].config.generation_kwargs["max_gen_toks"] = 16
    return found


def answers(engine, tasks) -> str:
    """Every completion and log-likelihood, as text."""
    scored = score_engine(engine, tasks, name="m")
    assert not scored.card.failures
    return json.dumps([[sample["resps"] for sample in rows] for rows in scored.samples.values()])


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_curve_of_seven_in_one_engine_is_seven_fresh_engines(place, tasks, method):
    """Tokens and log-likelihoods, exactly. The fresh engines' answers come first, each engine shut down after it."""
    models = [place / "base", *(place / method / f"checkpoint-{step}" for step in STEPS)]
    fresh = []
    for model in models:
        engine = VLLMEngine(model, adapters=models[1:] if method == "lora" else ())
        fresh.append(answers(engine, tasks))
        engine.close()
    with Loader(EngineSettings(engine="vllm"), models) as loader:
        one = loader(models[0])
        for model, expected in zip(models, fresh, strict=True):
            assert loader(model) is one
            assert answers(one, tasks) == expected, model
        assert answers(loader(models[0]), tasks) == fresh[0]
    assert len(set(fresh)) == 7


@pytest.fixture(scope="module")
def engine(place):
    made = VLLMEngine(place / "base")
    yield made
    made.close()


@pytest.mark.parametrize(("method", "baseline"), [("lora", "base"), ("tied", "tied-base")])
def test_the_curves_of_both_engines_agree(place, method, baseline):
    """Tied: the output layer is the embedding, of which vLLM on a CPU keeps a packed copy that `reload_weights` leaves as it was."""
    options = {
        "baseline": place / baseline,
        "tasks": ["hp_token_probability"],
        "metadata": {"prompts": str(place / "prompts")},
    }
    found = {name: curve(place / method, engine=name, **options) for name in ("hf", "vllm")}
    for ours, theirs in zip(found["vllm"].points, found["hf"].points, strict=True):
        assert ours.step == theirs.step
        a, b = (card.values["hp_token_probability"]["token_probability"] for card in (ours, theirs))
        assert a == pytest.approx(b, rel=1e-3)
        assert ours.manifest.fingerprint == theirs.manifest.fingerprint != ""


def test_memory_is_flat_over_fifty_swaps(place, engine):
    models = [place / "full" / f"checkpoint-{step}" for step in STEPS]

    def swaps(count: int) -> None:
        for number in range(count):
            engine.swap(models[number % len(models)])
        gc.collect()

    def tensors() -> int:
        return sum(o.numel() for o in gc.get_objects() if isinstance(o, torch.Tensor))

    swaps(6)
    before, peak = tensors(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    swaps(54)
    assert tensors() <= before
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 30_000
    )  # KiB; a leak of the weights alone would be 54 x 0.5 MiB


def test_a_swap_that_did_not_take_is_noticed(place, engine, monkeypatch):
    engine.swap(place / "base")
    monkeypatch.setattr(engine, "_checked", set())
    monkeypatch.setattr(engine.lm.model, "collective_rpc", lambda *_, **__: None)
    for _ in range(2):  # whoever asks for it again is not told that it is there
        with pytest.raises(RuntimeError, match="differ from a fresh load of .*checkpoint-20"):
            engine.swap(place / "full/checkpoint-20")
        assert engine.model == ""
    monkeypatch.undo()
    engine.swap(place / "base")
    assert engine.model == str(place / "base")


@pytest.mark.parametrize("how", ["shard", "nan", "cut", "architecture", "tokenizer", "adapter-nan"])
def test_what_is_wrong_with_a_checkpoint_is_one_sentence_and_the_engine_goes_on(place, engine, tasks, tmp_path, how):
    kind, message = WRONG[how]
    with pytest.raises(ValueError, match=message if how != "adapter-nan" else "was not started for adapters"):
        engine.swap(broken(place, tmp_path / "wrong", how))
    engine.swap(place / "full/checkpoint-30")
    card = score_engine(engine, tasks, name="m").card
    assert not card.failures and kind


def test_vllm_is_told_of_adapters_only_when_they_come(place):
    """Whole models, then adapters of the baseline that nobody announced: another engine, the same numbers."""
    metadata = {"prompts": str(place / "prompts")}
    tasks = load_tasks(["hp_token_probability"], metadata)
    with Loader(EngineSettings(engine="vllm")) as loader:
        loader(place / "full/checkpoint-10")
        found = score_engine(loader(place / "lora/checkpoint-10"), tasks, name="m").card
    alone = score(place / "lora/checkpoint-10", tasks=["hp_token_probability"], metadata=metadata)
    a, b = (card.values["hp_token_probability"]["token_probability"] for card in (found, alone))
    assert a == pytest.approx(b, rel=1e-3)


@pytest.mark.parametrize("how", ["shard", "nan"])
def test_a_model_that_is_broken_is_a_sentence_and_not_an_engine(place, tmp_path, how):
    with pytest.raises(ValueError, match=WRONG[how][1]):
        VLLMEngine(broken(place, tmp_path / "wrong", how), tokenizer=str(place / "base"))
    shutil.rmtree(tmp_path / "wrong")


@pytest.fixture(scope="module")
def unchanged(place, tasks) -> str:
    made = VLLMEngine(place / "base")
    said = answers(made, tasks)
    made.close()
    return said


@pytest.mark.parametrize("key", SETTINGS)
def test_a_models_own_settings_do_not_reach_the_task(place, tasks, unchanged, tmp_path, key):
    """As with hf, where the same is tested. By itself vLLM adds the end tokens of the file to those of every request."""
    model = with_json(place / "base", tmp_path / "m", "generation_config.json", **{key: SETTINGS[key]})
    made = VLLMEngine(model)
    assert answers(made, tasks) == unchanged
    assert made.lm.findings == HFEngine(model, device="cpu").lm.findings != []
    made.close()


def test_another_end_token_needs_another_engine(place, engine, tmp_path):
    other = tiny.save(tmp_path / "m", seed=3)
    tokenizer = tiny.tokenizer("byte_bpe")
    ends = [tokenizer.eos_token_id, tokenizer.bos_token_id]
    changed = with_json(other, tmp_path / "n", "generation_config.json", eos_token_id=ends)
    with pytest.raises(NeedsAnotherEngine, match="ends its texts with other tokens"):
        engine.swap(changed)
    engine.swap(other)


def test_a_prompt_that_would_be_cut_is_unscored(place, tasks):
    made = VLLMEngine(place / "base", max_model_len=32)
    card = score_engine(made, tasks, name="m").card
    made.close()
    values = card.values["hp_familiarity"]["familiarity"]
    assert any(value is None for value in values)
    reason = "the prompt and 16 new tokens do not fit the context of 32 tokens"
    assert any(said.endswith(reason) for said in card.manifest.findings)
