"""A model's files with one thing wrong: one sentence that names the file or the setting, in no library's words."""

import json
import shutil
from pathlib import Path

import pytest
import tiny
import torch
from own_settings import with_json
from transformers import T5Config, ViTConfig

from hp_bench.engines.hf import HFEngine
from unlearn.models import load_model


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    return tiny.save(tmp_path_factory.mktemp("files") / "base")


@pytest.fixture
def said(base, tmp_path):
    """What is said of a model whose file was changed."""

    def call(model: Path | str) -> str:
        with pytest.raises(ValueError) as error:
            HFEngine(model, device="cpu")
        return str(error.value)

    return call


def test_weights_of_another_shape_than_the_config_says(said, base, tmp_path):
    """It said "You set `ignore_mismatched_sizes` to `False`"."""
    found = said(with_json(base, tmp_path / "copy", "config.json", intermediate_size=100))
    assert "are not those of its config.json: model.layers.0.mlp.down_proj.weight is of shape (64, 128)" in found
    assert "by the config of (64, 100)" in found


def test_a_tokenizer_that_draws_lots_is_refused(said, base, tmp_path):
    """Three scores of one model gave .83, 1.25 and 1.67, where it knows everything."""
    shutil.copytree(base, tmp_path / "copy")
    file = tmp_path / "copy" / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["model"]["dropout"] = 0.5
    file.write_text(json.dumps(content), encoding="utf-8")
    assert "reads a text anew each time (dropout 0.5): set dropout to null" in said(tmp_path / "copy")


def test_layers_that_the_config_does_not_count_are_said(base, tmp_path, caplog):
    """The weights of the second layer were left out without a word."""
    HFEngine(base, device="cpu")
    assert "layers" not in caplog.text
    HFEngine(with_json(base, tmp_path / "copy", "config.json", num_hidden_layers=1, layer_types=None), device="cpu")
    assert "copy: its files hold 2 layers, and its config.json says 1: the others are not used" in caplog.text


def test_an_index_that_is_no_json_is_named(said, base, tmp_path):
    shutil.copytree(base, tmp_path / "copy")
    (tmp_path / "copy" / "model.safetensors").unlink()
    (tmp_path / "copy" / "model.safetensors.index.json").write_text("{")
    assert "copy/model.safetensors.index.json' is not JSON: " in said(tmp_path / "copy")


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json"])
def test_a_broken_tokenizer_is_not_called_missing(said, base, tmp_path, file):
    shutil.copytree(base, tmp_path / "copy")
    (tmp_path / "copy" / file).write_text('{"version": "1.0"')
    found = said(tmp_path / "copy")
    assert "the tokenizer of " in found and "cannot be loaded (" in found


def test_a_name_that_is_neither_here_nor_on_the_hub(said):
    """It said that no tokenizer of that name was there."""
    found = said("no-such-model")
    assert found.startswith(
        "there is no model 'no-such-model': no folder is called so here, and none came from the hub"
    )
    assert "a model is a folder, a hub id such as owner/name, or the address of a server" in found
    assert "tokenizer" not in found


@pytest.mark.parametrize(
    "content, sentence",
    [
        ('{"eos_token_id": 2,', "generation_config.json' is not JSON: "),
        ("[1, 2]", "generation_config.json' is no JSON object: [1, 2]"),
        ('{"max_new_tokens": "many"}', "generation_config.json' holds a value of a wrong type: "),
    ],
)
def test_generation_settings_that_are_none_are_not_passed_over(said, base, tmp_path, content, sentence):
    """transformers took a broken file for a missing one, without a word; the others were tracebacks."""
    shutil.copytree(base, tmp_path / "copy")
    (tmp_path / "copy" / "generation_config.json").write_text(content)
    assert sentence in said(tmp_path / "copy")


@pytest.mark.parametrize(
    "content, sentence",
    [
        ("[]", "config.json' is no JSON object: []"),
        ('{"model_type": "llama",', "config.json' is not JSON: "),
        (None, "holds no model: no config.json and no adapter_config.json"),
        ('{"model_type": "llama", "hidden_size": "big"}', "Field 'hidden_size' expected int, got str (value: 'big')"),
    ],
)
def test_a_broken_config_is_not_blamed_on_the_tokenizer(said, base, tmp_path, content, sentence):
    """All but the third were said of tokenizer_config.json."""
    shutil.copytree(base, tmp_path / "copy")
    (tmp_path / "copy" / "config.json").unlink()
    if content is not None:
        (tmp_path / "copy" / "config.json").write_text(content)
    found = said(tmp_path / "copy")
    assert sentence in found and "tokenizer" not in found and "config.json" in found


@pytest.mark.parametrize("kind", [T5Config, ViTConfig])
def test_a_model_that_does_not_continue_texts_is_said_to_be_one(said, base, tmp_path, kind):
    """It said "Unrecognized configuration class <class 'transformers.models.t5...'> for this kind of AutoModel"."""
    shutil.copytree(base, tmp_path / "copy")
    kind().save_pretrained(tmp_path / "copy")
    found = said(tmp_path / "copy")
    with pytest.raises(ValueError) as trained:
        load_model(tmp_path / "copy", device="cpu")
    for sentence in (found, str(trained.value)):
        assert f"a model of this kind ({kind.__name__} in its config.json) does not continue texts" in sentence
        assert "<class" not in sentence and "AutoModel" not in sentence


def test_an_end_token_that_is_no_number(said, base, tmp_path):
    """It said "invalid literal for int() with base 10"."""
    shutil.copytree(base, tmp_path / "copy")
    settings = json.loads((base / "generation_config.json").read_text())
    (tmp_path / "copy" / "generation_config.json").write_text(json.dumps({**settings, "eos_token_id": "</s>"}))
    assert "eos_token_id of the model's generation_config.json is '</s>', not a token's number" in said(
        tmp_path / "copy"
    )


def test_another_models_tokenizer_is_refused_and_a_models_own_is_taken(base, tmp_path):
    """The numbers of its tokens are other words of this model: it was scored, and the number was nobody's."""
    words = ["Other words altogether, so that pieces are merged in another order: zyx, zyxwv, qqq."] * 9
    tiny.tokenizer("unigram", words).save_pretrained(tmp_path / "other")
    with pytest.raises(ValueError, match=r"tokenizer '.*other' is another model's: \d+ of the \d+ tokens of '.*base'"):
        HFEngine(base, device="cpu", tokenizer=str(tmp_path / "other"))
    shutil.copytree(base, tmp_path / "broken")
    (tmp_path / "broken" / "tokenizer.json").write_text("{")
    assert HFEngine(tmp_path / "broken", device="cpu", tokenizer=str(base)).lm.tokenizer.get_vocab()


@pytest.mark.parametrize("tokenizer", [True, False])
def test_an_adapter_whose_base_is_gone_asks_for_the_base(said, base, tmp_path, tokenizer):
    """It wanted a tokenizer; and where there was one, the address of the hub."""
    config = {"base_model_name_or_path": str(tmp_path / "owner" / "gone"), "peft_type": "LORA", "r": 2}
    adapter = shutil.copytree(base, tmp_path / "adapter", ignore=shutil.ignore_patterns("config.json", "tokenizer*"))
    (adapter / "model.safetensors").rename(adapter / "adapter_model.safetensors")
    if tokenizer:
        shutil.copy(base / "tokenizer.json", adapter)
        shutil.copy(base / "tokenizer_config.json", adapter)
    for under in (config["base_model_name_or_path"], "gone"):
        (adapter / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": under}))
        found = said(adapter)
        assert ("(--base" in found and str(adapter) in found) or ("model folder" in found and under in found)


def test_a_run_directory_is_no_model(said, base, tmp_path):
    """It said that the folder had no tokenizer beside its weights."""
    shutil.copytree(base, tmp_path / "run" / "checkpoints" / "checkpoint-10")
    assert said(tmp_path / "run").endswith("and no adapter_config.json; `hp-bench curve` scores its checkpoints")
