"""Rows that leave the batch as they end: what is said is what `generate` says of each prompt alone, and what the tasks are told."""

import random

import pytest
import tiny
import torch
from lm_eval.api.instance import Instance
from peft import LoraConfig, get_peft_model
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoConfig,
    GPTNeoForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from hp_bench.engines import hf
from hp_bench.engines.decoding import decodes, greedy
from hp_bench.engines.hf import HFEngine
from hp_bench.text.completion import cut_at_blank_line, ends_at_blank_line

_SHAPE = {"vocab_size": 300, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
_ENDS = set(range(5, 300, 11))


def _qwen() -> Qwen3ForCausalLM:
    return Qwen3ForCausalLM(
        Qwen3Config(**_SHAPE, intermediate_size=64, num_key_value_heads=2, head_dim=16, initializer_range=0.3)
    )


_MODELS = {
    "llama": lambda: tiny.llama(300),
    "qwen": _qwen,
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=300, n_embd=64, n_layer=2, n_head=2, initializer_range=0.3)),
    "neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**_SHAPE, intermediate_size=64, initializer_range=0.3)),
    "opt": lambda: OPTForCausalLM(OPTConfig(**_SHAPE, ffn_dim=64, word_embed_proj_dim=64, init_std=0.3)),
}


def _prompts(count: int, prefix: int) -> list[list[int]]:
    rng = random.Random(count)
    begin = [rng.randrange(3, 300) for _ in range(prefix)]
    return [begin + [rng.randrange(3, 300) for _ in range(rng.randrange(1, 12))] for _ in range(count)]


def _alone(model, prompt: list[int], new_tokens: int) -> list[int]:
    ids = torch.tensor([prompt])
    said = model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=new_tokens, eos_token_id=sorted(_ENDS), pad_token_id=0
    )  # fmt: skip
    return said[0, len(prompt) :].tolist()


@pytest.mark.parametrize("prefix", [0, 5])
@pytest.mark.parametrize("kind", _MODELS)
def test_as_each_prompt_alone(kind, prefix):
    torch.manual_seed(0)
    model = _MODELS[kind]().eval()
    assert decodes(model)
    prompts = _prompts(17, prefix)
    complete: list[int] = []
    said = greedy(
        model, prompts, new_tokens=15, ends=_ENDS, batch_size=4, advance=lambda: complete.append(1)
    )  # fmt: skip
    assert said == [_alone(model, prompt, 15) for prompt in prompts]
    assert len(complete) == 17
    assert len({len(text) for text in said}) > 4  # rows end at different times, so places change hands


def test_prompts_of_one_token_and_equal_ones():
    model = tiny.llama(300)
    prompts = [[7], [7], [9, 8], [7]]
    said = greedy(model, prompts, new_tokens=6, ends=(), batch_size=2)
    assert said == [greedy(model, [prompt], new_tokens=6, ends=(), batch_size=1)[0] for prompt in prompts]
    assert said[0] == said[1] == said[3] != said[2]


def test_a_continuation_ends_where_the_caller_says():
    model, prompts = tiny.llama(300), _prompts(9, 2)
    whole = greedy(model, prompts, new_tokens=12, ends=(), batch_size=4)
    cut = greedy(model, prompts, new_tokens=12, ends=(), batch_size=4, ended=lambda text: len(text) == 5)
    assert cut == [text[:5] for text in whole]


def test_not_for_models_with_rules_of_their_own():
    class Own(type(tiny.llama(300))):
        """As the live models of `unlearn`, or code that came with weights."""

    window = MistralConfig(**_SHAPE, intermediate_size=64, num_key_value_heads=2, sliding_window=8)
    local = GPTNeoConfig(
        vocab_size=300, hidden_size=64, num_layers=2, num_heads=2, attention_types=[[["global", "local"], 1]]
    )
    assert not decodes(Own(tiny.llama(300).config))
    assert not decodes(MistralForCausalLM(window))
    assert not decodes(GPTNeoForCausalLM(local))  # its windows are in its attention, and no mask or setting says so
    assert not decodes(torch.nn.Linear(2, 2))


@pytest.fixture
def engine():
    tokenizer = tiny.tokenizer("byte_bpe")
    return HFEngine(tiny.llama(len(tokenizer)), tokenizer=tokenizer, device="cpu", batch_size=4)


def _asked(engine, *, ended=None, **how) -> list[str]:
    options = {"do_sample": False, "temperature": 0.0, "max_gen_toks": 40, "until": [], **how}
    requests = [Instance("generate_until", {}, (text, dict(options)), n) for n, text in enumerate(tiny.TEXT[:6] * 2)]
    for request in requests:
        vars(request)["ended"] = ended
    return engine.lm.generate_until(requests, disable_tqdm=True)


def test_the_engine_says_what_it_said_before(engine, monkeypatch):
    calls: list[int] = []
    real = hf.greedy
    monkeypatch.setattr(
        hf, "greedy", lambda model, prompts, **how: calls.append(len(prompts)) or real(model, prompts, **how)
    )
    ours = _asked(engine)
    assert calls == [12] and engine.lm.batch_size == 4
    with monkeypatch.context() as patch:
        patch.setattr(hf, "decodes", lambda _: False)
        assert _asked(engine) == ours
    assert calls == [12]
    assert len(set(ours)) == 6


def test_long_completions_are_decoded_in_fewer_rows(engine, monkeypatch):
    """Keys and values of every row are set aside for the whole of it."""
    rows: list[int] = []
    real = hf.greedy
    monkeypatch.setattr(hf, "greedy", lambda *given, **how: rows.append(how["batch_size"]) or real(*given, **how))
    monkeypatch.setattr(hf, "_ROW", 10)
    for tokens in (5, 10, 11, 20, 41):
        _asked(engine, max_gen_toks=tokens)
    assert rows == [4, 4, 3, 2, 1] and engine.lm.batch_size == 4


def test_a_task_with_stops_of_its_own_is_decoded_by_transformers(engine, monkeypatch):
    monkeypatch.setattr(hf, "greedy", lambda *_, **__: pytest.fail("not for these"))
    _asked(engine, until=["e"])
    _asked(engine, do_sample=True, temperature=1.0)


def test_where_a_task_says_that_completions_end(engine, monkeypatch):
    """Line breaks are planted: a random model says none."""
    line = engine.lm.tokenizer("\n")["input_ids"]
    assert len(line) == 1
    newline = dict.fromkeys(range(3, len(engine.lm.tokenizer), 3), line[0])
    real, lengths = hf.greedy, []

    def planted(model, prompts, *, ended, **how):
        def said(text: list[int]) -> bool:
            text[-1] = newline.get(text[-1], text[-1])
            return ended(text)

        found = real(model, prompts, ended=said, **how)
        lengths.append(sum(map(len, found)))
        return found

    monkeypatch.setattr(hf, "greedy", planted)
    whole, cut = _asked(engine), _asked(engine, ended=ends_at_blank_line)
    assert lengths[1] < lengths[0]
    assert [cut_at_blank_line(text) for text in cut] == [cut_at_blank_line(text) for text in whole]
    assert any(cut_at_blank_line(text) != text for text in whole)


def test_adapters_are_decoded_with_their_base():
    tokenizer = tiny.tokenizer("byte_bpe")
    base = tiny.llama(len(tokenizer))
    plain = _asked(HFEngine(base, tokenizer=tokenizer, device="cpu"))
    adapted = get_peft_model(base, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)).eval()
    ours = _asked(HFEngine(adapted, tokenizer=tokenizer, device="cpu", batch_size=5))
    ids = [tokenizer(text, return_tensors="pt", return_token_type_ids=False) for text in tiny.TEXT[:6]]
    theirs = [
        adapted.generate(**one, do_sample=False, max_new_tokens=40, pad_token_id=2)[0, one["input_ids"].shape[1] :]
        for one in ids
    ]
    assert ours[:6] == [tokenizer.decode(one, skip_special_tokens=True) for one in theirs] != plain[:6]


def test_familiarity_tells_where_its_completions_end():
    from hp_bench.scoring.score import load_tasks

    tasks = load_tasks(["hp_familiarity", "hp_languages_de"])["tasks"]
    for task in tasks.values():
        task.build_all_requests()
        assert {request.ended for request in task.instances} == {ends_at_blank_line}
