"""The cache that grows in place: the same numbers as transformers' own, bit for bit."""

import pytest
import tiny
import torch
from transformers import GPT2Config, GPT2LMHeadModel, MistralConfig, MistralForCausalLM

from hp_bench.engines.decoding import roomy_cache

_PROMPTS = torch.tensor([[2, 2, 5, 6, 7], [8, 9, 10, 11, 12], [2, 13, 14, 15, 16]])
_MASK = (_PROMPTS != 2).long()


def _gpt2() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=300, n_embd=64, n_layer=2, n_head=2, initializer_range=0.3)).eval()


def _generate(model, **options):
    return model.generate(
        input_ids=_PROMPTS, attention_mask=_MASK, do_sample=False, max_length=40, min_length=40, pad_token_id=2,
        output_logits=True, return_dict_in_generate=True, **options,
    )  # fmt: skip


@pytest.mark.parametrize("make", [lambda: tiny.llama(300), _gpt2], ids=["llama", "gpt2"])
def test_the_same_logits(make):
    model = make()
    cache = roomy_cache(model, 3, 40)
    assert cache is not None
    ours, theirs = _generate(model, past_key_values=cache), _generate(model)
    assert torch.equal(ours.sequences, theirs.sequences)
    assert all(torch.equal(a, b) for a, b in zip(ours.logits, theirs.logits, strict=True))
    assert len(ours.logits) == 35
    assert ours.sequences[:, 5:].unique().numel() > 5  # no constant that any cache would give


def test_room_is_taken_once():
    model = tiny.llama(300)
    cache = roomy_cache(model, 3, 40)
    _generate(model, past_key_values=cache)
    (keys,) = {layer.keys.untyped_storage().size() for layer in cache.layers}
    assert keys == 3 * 2 * 40 * 32 * 4  # rows, heads, tokens, width, bytes


def test_cut_back_in_between():
    model = tiny.llama(300)
    cache, plain = roomy_cache(model, 3, 40), None
    with torch.inference_mode():
        model(_PROMPTS, past_key_values=cache)
        model(_PROMPTS[:, :1], past_key_values=cache)
        for layer in cache.layers:
            layer.keys, layer.values = layer.keys[..., :5, :], layer.values[..., :5, :]
        ours = model(_PROMPTS[:, :2], past_key_values=cache).logits
        plain = model(_PROMPTS[:, :2], past_key_values=model(_PROMPTS, use_cache=True).past_key_values).logits
    assert torch.equal(ours, plain)


def test_not_for_layers_that_forget():
    config = MistralConfig(
        vocab_size=300, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, sliding_window=8
    )  # fmt: skip
    assert roomy_cache(MistralForCausalLM(config), 3, 40) is None
    assert roomy_cache(torch.nn.Linear(2, 2), 3, 40) is None
