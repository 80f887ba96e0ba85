"""Engines: a swap is a fresh load, adapters too; what is broken or of another kind is said in one sentence, and costs nothing else."""

import json
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_prompts
import tiny
import torch
from broken_checkpoints import WRONG, broken
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, Gemma3Config

from hp_bench.engines import DoesNotFit, NeedsAnotherEngine, engine_class, hf
from hp_bench.engines.fingerprint import fingerprint
from hp_bench.engines.hf import HFEngine
from hp_bench.engines.loader import EngineSettings, Loader
from hp_bench.engines.loading import attach, load_model, same_architecture
from hp_bench.engines.source import Source, locate, widest
from hp_bench.scoring.score import load_tasks, score_engine

STEPS = (10, 20)


def adapter(base: Path, folder: Path, *, seed: int, **options) -> Path:
    """An unmerged LoRA adapter with random weights."""
    torch.manual_seed(seed)
    settings = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, **options)
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), settings).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Path]:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("engines")
    tiny.save(root / "base")
    for step in STEPS:
        tiny.save(root / "full" / f"checkpoint-{step}", seed=step)
        saved = {"modules_to_save": ["lm_head"]} if step == 20 else {}
        adapter(root / "base", root / "lora" / f"checkpoint-{step}", seed=step, **saved)
    with pytest.MonkeyPatch.context() as patch:
        small_prompts.shorten(patch)
        yield root


@pytest.fixture(scope="module")
def tasks(place):
    return load_tasks(["hp_familiarity", "hp_token_probability"], small_prompts.write(place / "prompts"))


def answers(engine, tasks) -> tuple:
    """Every completion and every log-likelihood."""
    scored = score_engine(engine, tasks, name="m")
    assert not scored.card.failures
    return (
        [sample["resps"] for sample in scored.samples["hp_familiarity"]],
        [sample["resps"] for sample in scored.samples["hp_token_probability"]],
    )


def test_every_swap_gives_the_answers_of_a_fresh_engine(place, tasks):
    """Whole models and adapters, there and back, in one engine: the same tokens and log-likelihoods, bit for bit."""
    way = ["base", "full/checkpoint-10", "lora/checkpoint-20", "base", "lora/checkpoint-10"]
    engine = HFEngine(place / way[0], device="cpu")
    kept = {}
    for name in way:
        engine.swap(place / name)
        assert engine.model == str(place / name)
        found = answers(engine, tasks)
        if name not in kept:
            kept[name] = answers(HFEngine(place / name, device="cpu"), tasks)
        assert found == kept[name], name
    assert len({json.dumps(found) for found in kept.values()}) == len(kept)


def test_a_swap_that_did_not_take_is_noticed(place, monkeypatch):
    engine = HFEngine(place / "base", device="cpu")
    monkeypatch.setattr(hf, "attach", lambda model, _: attach(model, locate(place / "lora/checkpoint-20")))
    with pytest.raises(RuntimeError, match="tensors differ from a fresh load of .*checkpoint-10"):
        engine.swap(place / "lora/checkpoint-10")


def test_a_swap_holds_one_model_at_a_time(place, monkeypatch):
    """The first model was held to the end, and each next one beside the last."""
    engine = HFEngine(place / "base", device="cpu")
    last, alive = weakref.ref(engine.lm.model), []

    def noting(*given, **options):
        alive.append(last() is not None)
        return load_model(*given, **options)

    monkeypatch.setattr(hf, "load_model", noting)
    for step in STEPS:
        engine.swap(place / f"full/checkpoint-{step}")
        last = weakref.ref(engine.lm.model)
    assert alive == [False, False]


def test_an_engine_goes_on_where_its_checkpoint_is_gone_and_the_next_is_broken(place, tmp_path):
    gone = shutil.copytree(place / "base", tmp_path / "gone")
    engine = HFEngine(gone, device="cpu")
    shutil.rmtree(gone)
    with pytest.raises(ValueError):
        engine.swap(broken(place, tmp_path / "wrong", "missing"))
    engine.swap(place / "full/checkpoint-10")
    held = load_file(place / "full/checkpoint-10/model.safetensors")
    assert all(torch.equal(tensor, held[name]) for name, tensor in engine.lm.model.state_dict().items())


@pytest.fixture(scope="module")
def sound(place) -> HFEngine:
    """One engine, which every broken checkpoint is offered to."""
    return HFEngine(place / "full/checkpoint-10", device="cpu")


@pytest.mark.parametrize("how", WRONG)
def test_what_is_wrong_with_a_checkpoint_is_one_sentence_and_the_engine_goes_on(place, sound, tmp_path, how):
    kind, message = WRONG[how]
    with pytest.raises(kind, match=message) as caught:
        sound.swap(broken(place, tmp_path / "wrong", how))
    assert len(str(caught.value)) < 700
    held = load_file(Path(sound.model) / "model.safetensors")
    assert all(torch.equal(tensor, held[name]) for name, tensor in sound.lm.model.state_dict().items())
    sound.swap(place / "full/checkpoint-20")
    held = load_file(place / "full/checkpoint-20/model.safetensors")
    assert all(torch.equal(tensor, held[name]) for name, tensor in sound.lm.model.state_dict().items())


@pytest.mark.parametrize(
    "how", ["shard", "nan", "missing", "cut", "empty", "config", "adapter-nan", "adapter-missing", "adapter-shape"]
)
def test_the_same_sentence_comes_from_an_engine_that_is_opened_with_it(place, tmp_path, how):
    with pytest.raises(ValueError, match=WRONG[how][1]):
        HFEngine(broken(place, tmp_path / "wrong", how), device="cpu", tokenizer=str(place / "base"))


def nested(folder: Path, *, hidden: int = 64, dtype: str = "float32") -> Path:
    """A config with a config within, as of a model that sees."""
    text = {"hidden_size": hidden, "num_hidden_layers": 12, "dtype": dtype, "bos_token_id": len(dtype)}
    Gemma3Config(text_config=text, dtype=dtype).save_pretrained(folder)
    return folder


def test_a_config_within_a_config_is_compared_setting_by_setting(tmp_path):
    loaded = AutoConfig.from_pretrained(nested(tmp_path / "a"))
    same = same_architecture(loaded, Source(str(nested(tmp_path / "b", dtype="bfloat16"))))
    assert same.text_config.to_dict() != loaded.text_config.to_dict()
    other = Source(str(nested(tmp_path / "c", hidden=96, dtype="bfloat16")))
    with pytest.raises(DoesNotFit, match=r"\(text_config\.hidden_size: 64 against 96\)$") as found:
        same_architecture(loaded, other)
    assert len(str(found.value)) < 300
    loaded.text_config.layer_types = ["full_attention"] * 1000
    with pytest.raises(DoesNotFit, match=r"text_config\.layer_types: \[") as found:
        same_architecture(loaded, other)
    assert len(str(found.value)) < 1000


@pytest.mark.slow
def test_memory_is_flat_over_fifty_swaps(place):
    import gc

    engine = HFEngine(place / "base", device="cpu")
    way = [place / "full/checkpoint-10", place / "lora/checkpoint-10", place / "lora/checkpoint-20", place / "base"]

    def held() -> int:
        gc.collect()
        return sum(o.numel() for o in gc.get_objects() if isinstance(o, torch.Tensor))

    for path in way:
        engine.swap(path)
    before = held()
    for number in range(52):
        engine.swap(way[number % len(way)])
    assert held() == before


@pytest.mark.slow
def test_a_quantised_model_is_loaded_as_its_config_says_and_is_not_swapped_in_place(place, tasks, tmp_path):
    from torchao.quantization import Int8WeightOnlyConfig
    from transformers import TorchAoConfig

    settings = TorchAoConfig(Int8WeightOnlyConfig(version=2))
    model = AutoModelForCausalLM.from_pretrained(place / "base", quantization_config=settings)
    model.save_pretrained(tmp_path / "int8")
    engine = HFEngine(tmp_path / "int8", device="cpu", tokenizer=str(place / "base"))
    assert type(engine.lm.model.model.layers[0].self_attn.q_proj.weight).__name__ == "Int8Tensor"
    plain = HFEngine(place / "base", device="cpu")
    assert answers(engine, tasks) != answers(plain, tasks)
    with pytest.raises(DoesNotFit, match="quantization_config"):
        plain.swap(tmp_path / "int8")
    with pytest.raises(NeedsAnotherEngine, match="is quantised"):
        engine.swap(tmp_path / "int8")


def test_a_live_model_is_scored_where_it_is_and_left_as_it_was(place, tasks):
    model = AutoModelForCausalLM.from_pretrained(place / "full/checkpoint-10")
    tokenizer = tiny.tokenizer("byte_bpe")
    tokenizer.pad_token = None
    engine = HFEngine(model, tokenizer=tokenizer)
    assert engine.lm.model is model
    assert tokenizer.pad_token is None
    assert answers(engine, tasks) == answers(HFEngine(place / "full/checkpoint-10", device="cpu"), tasks)
    assert score_engine(engine, tasks, name="m").card.manifest.fingerprint == ""
    with pytest.raises(NeedsAnotherEngine):
        engine.swap(place / "base")


@pytest.mark.slow
def test_a_loader_keeps_to_one_kind_on_a_curve_and_opens_another_engine_otherwise(place, tmp_path):
    other = broken(place, tmp_path / "other", "architecture")
    with Loader(EngineSettings(device="cpu")) as loader:
        first = loader(place / "base")
        assert loader(place / "full/checkpoint-10") is first
        with pytest.raises(DoesNotFit):
            loader(other)
        assert loader(place / "full/checkpoint-20") is first
    with Loader(EngineSettings(device="cpu"), one_kind=False) as loader:
        first = loader(place / "base")
        assert loader(other) is not first
        assert loader(other).lm.model.config.num_hidden_layers == 3


def test_a_curves_type_holds_the_weights_of_all_its_checkpoints_exactly(place, tmp_path):
    rounded = tiny.save(tmp_path / "bf16", dtype=torch.bfloat16)
    assert widest(["bfloat16", "bfloat16"]) == "bfloat16"
    assert widest(["bfloat16", "float32", ""]) == widest(["bfloat16", "float16"]) == "float32"
    with Loader(EngineSettings(device="cpu"), [str(rounded), str(place / "base")]) as loader:
        assert loader(rounded).dtype == "float32"
        swapped = loader(place / "base").lm.model.state_dict()
    fresh = AutoModelForCausalLM.from_pretrained(place / "base").state_dict()
    assert all(torch.equal(swapped[key], fresh[key]) for key in fresh)
    with Loader(EngineSettings(device="cpu", dtype="bfloat16"), [str(rounded), str(place / "base")]) as loader:
        assert loader(place / "base").dtype == "bfloat16"


def test_what_a_model_is_called(place, tmp_path):
    assert locate("meta/Model@v2").name == "meta/Model@v2"
    assert (locate("meta/Model@v2").path, locate("meta/Model@v2").options) == ("meta/Model", {"revision": "v2"})
    odd = tiny.save(tmp_path / "a@b")
    assert locate(odd).path == str(odd.resolve())
    lora = locate(place / "lora/checkpoint-10")
    assert lora.base == locate(place / "base")
    assert locate(place / "lora/checkpoint-10", base=place / "full/checkpoint-10").base == locate(
        place / "full/checkpoint-10"
    )
    for missing in ("./nowhere", "/nowhere/at/all", tmp_path / "nowhere", "runs/of/mine", f"{tmp_path}/x"):
        with pytest.raises(ValueError, match="does not exist"):
            locate(missing)
    nameless = shutil.copytree(place / "lora/checkpoint-10", tmp_path / "nameless")
    config = json.loads((nameless / "adapter_config.json").read_text())
    (nameless / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": None}))
    with pytest.raises(ValueError, match="names no base model"):
        locate(nameless)


@pytest.mark.parametrize("engine", ["hff", "hp_bench.nothing:Engine", "hp_bench.engines.hf:Nothing"])
def test_an_unknown_engine_is_named(engine):
    with pytest.raises(ValueError, match=f"engine {engine!r} is unknown"):
        engine_class(engine)


@pytest.mark.parametrize(
    "options, message", [({"dtype": "int3"}, "dtype 'int3' is unknown"), ({"device": "tpu9"}, "device 'tpu9'")]
)
def test_an_unknown_type_or_device_is_named(place, options, message):
    with pytest.raises(ValueError, match=message):
        HFEngine(place / "base", **{"device": "cpu", **options})


def test_a_fingerprint_notices_a_change_of_one_layer_and_of_the_model_under_an_adapter(place, tmp_path):
    changed = shutil.copytree(place / "base", tmp_path / "changed")
    weights = load_file(changed / "model.safetensors")
    weights["model.layers.1.mlp.down_proj.weight"][3, 3] += 1
    save_file(weights, changed / "model.safetensors", metadata={"format": "pt"})
    assert fingerprint(str(changed)) != fingerprint(str(place / "base")) == fingerprint(str(place / "base")) != ""
    lora = str(place / "lora/checkpoint-10")
    assert fingerprint(lora) != fingerprint(lora, base=str(changed))
    assert fingerprint("no-such/hub-id") == fingerprint(str(tmp_path / "nowhere")) == ""


def test_a_large_files_digest_looks_at_every_mebibyte(tmp_path, monkeypatch):
    monkeypatch.setattr("unlearn.files._WHOLE", 1)
    (tmp_path / "config.json").write_text("{}")
    found = set()
    for spot in (None, 0, 3 << 20, (5 << 20) + 1000):
        content = bytearray(6 << 20)
        if spot is not None:
            content[spot] = 1
        (tmp_path / "model.safetensors").write_bytes(content)
        found.add(fingerprint(str(tmp_path)))
    assert len(found) == 4


def test_loading_says_what_it_lacks_rather_than_making_it_up(place, tmp_path):
    with pytest.raises(ValueError, match="lacks 1 of its weights"):
        load_model(locate(broken(place, tmp_path / "wrong", "missing")))


def test_a_tokenizer_that_only_decodes_otherwise_is_another_one(place, tmp_path):
    """It splits text as the loaded one does, so its completions would be read by the loaded one and look right."""
    other = tmp_path / "no-decoder"
    shutil.copytree(place / "base", other)
    read = json.loads((other / "tokenizer.json").read_text(encoding="utf-8"))
    (other / "tokenizer.json").write_text(json.dumps({**read, "decoder": None}), encoding="utf-8")
    engine = HFEngine(place / "base")
    with pytest.raises(DoesNotFit, match="makes other text of it"):
        engine.swap(other)
