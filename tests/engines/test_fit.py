"""Fit to be scored? Every way to a wrong number that says nothing: neutralised, unscored, or refused in one sentence, before the first prompt."""

import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_prompts
import tiny
import torch
from lm_eval.evaluator import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from own_settings import SETTINGS, with_json
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertLMHeadModel,
    Gemma3TextConfig,
    GenerationConfig,
    PreTrainedTokenizerFast,
)

from hp_bench import Scorecard, score
from hp_bench.engines import fit
from hp_bench.engines.hf import HFEngine
from hp_bench.engines.loader import EngineSettings, Loader
from hp_bench.probes.paths import tasks_dir
from hp_bench.scoring.score import load_tasks, score_engine
from hp_bench.scoring.store import load_samples

TASKS = ("hp_familiarity", "hp_token_probability")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Path]:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("fit")
    tiny.save(root / "base")
    tiny.save(root / "metaspace", "metaspace_bpe")
    small_prompts.write(root / "prompts")
    with pytest.MonkeyPatch.context() as patch:
        small_prompts.shorten(patch)
        yield root


@pytest.fixture(scope="module")
def tasks(place):
    return load_tasks(TASKS, {"prompts": str(place / "prompts")})


def completions(lm, tasks) -> list[str]:
    """What a model of lm-eval says to the prompts of the familiarity test, whatever its weights."""
    return lm.generate_until(asked(tasks), disable_tqdm=True)


def asked(tasks) -> list:
    """What the familiarity test asks."""
    task = tasks["tasks"]["hp_familiarity"]
    task.build_all_requests()
    return task.instances


def by_lm_eval(model, place, *, tasks=TASKS, **options) -> dict:
    """Results of plain `lm_eval --model hf`."""
    manager = TaskManager(
        include_defaults=False, include_path=[tasks_dir()], metadata={"prompts": str(place / "prompts")}
    )
    return simple_evaluate(
        model="hf", model_args={"pretrained": str(model), "device": "cpu"}, tasks=list(tasks), task_manager=manager,
        batch_size=8, **options,
    )  # fmt: skip


@pytest.mark.parametrize("key", SETTINGS)
def test_a_models_own_settings_do_not_reach_the_task(place, tasks, tmp_path, key):
    model = with_json(place / "base", tmp_path / "m", "generation_config.json", **{key: SETTINGS[key]})
    expected = completions(HFEngine(place / "base", device="cpu").lm, tasks)
    try:
        assert completions(HFLM(pretrained=str(model), device="cpu", batch_size=8), tasks) != expected
    except ValueError as error:
        assert key in ("stop_strings", "prompt_lookup_num_tokens"), error
    engine = HFEngine(model, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)  # of the cache's old name, too
        assert completions(engine.lm, tasks) == expected
    (said,) = engine.lm.findings
    assert (key if key != "eos_token_id" else "387 end tokens that are ordinary ones") in said
    assert getattr(engine.lm.model.generation_config, key) is not None


def test_what_was_left_out_is_in_the_scorecard_and_is_said_once(place, tasks, tmp_path, caplog):
    model = with_json(place / "base", tmp_path / "m", "generation_config.json", repetition_penalty=3.0, temperature=0.6)
    card = score(model, metadata={"prompts": str(place / "prompts")}, out=tmp_path / "out", device="cpu")
    expected = (
        "its generation_config.json is not followed (repetition_penalty=3.0): the task alone decides how to decode"
    )
    assert card.manifest.findings == [expected]
    assert [record.getMessage() for record in caplog.records].count(f"{card.name}: {expected}") == 1
    assert Scorecard.load(tmp_path / f"out/scorecards/{card.name}.json") == card
    engine = HFEngine(model, device="cpu")
    engine.swap(place / "base")
    assert score_engine(engine, tasks, name="m").card.manifest.findings == []


def test_settings_in_config_json_are_not_blamed_on_another_file(place, tmp_path, caplog):
    model = with_json(place / "base", tmp_path / "m", "config.json", repetition_penalty=3.0)
    assert not HFEngine(model, device="cpu").lm.findings  # its generation_config.json alone counts
    (model / "generation_config.json").unlink()
    (said,) = HFEngine(model, device="cpu").lm.findings
    assert said.startswith("its config.json is not followed (repetition_penalty=3.0)")
    by_lm_eval(model, place, tasks=TASKS[:1])
    assert "its config.json changes what the model says (repetition_penalty=3.0)" in caplog.text


def test_the_fault_of_a_tokenizer_is_told_of_the_model_that_is_asked(place, tasks, tmp_path):
    """Two models of one tokenizer: that of the second was said to be at fault in the first."""
    for name in "ab":
        with_json(place / "base", tmp_path / name, "config.json", vocab_size=300, eos_token_id=2)
        tiny.llama(300).save_pretrained(tmp_path / name)
    engine = HFEngine(tmp_path / "a", device="cpu")
    engine.swap(tmp_path / "b")
    card = score_engine(engine, tasks, name="m").card
    assert all(str(tmp_path / "b") in said and str(tmp_path / "a") not in said for said in card.failures.values())


@pytest.mark.parametrize("key, value", [("chat_template", "{{ messages }}"), ("eos_token", "<s>")])
def test_a_second_model_is_not_asked_by_the_template_or_the_end_token_of_the_first(place, tmp_path, key, value):
    """Without a word: a model's number depended on which model stood before it in the command."""
    other = with_json(place / "base", tmp_path / "other", "tokenizer_config.json", **{key: value})
    with Loader(EngineSettings(device="cpu"), one_kind=True) as loader:
        loader(str(place / "base"))
        assert getattr(loader(str(other)).lm.tokenizer, key) == value


def test_an_adapters_and_a_live_models_settings_do_not_either_and_stay_as_they_were(place, tasks, tmp_path):
    base = with_json(place / "base", tmp_path / "m", "generation_config.json", repetition_penalty=3.0)
    torch.manual_seed(1)
    settings = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), settings).save_pretrained(tmp_path / "lora")
    adapted = HFEngine(tmp_path / "lora", device="cpu")
    sound = HFEngine(tmp_path / "lora", base=place / "base", device="cpu")
    assert completions(adapted.lm, tasks) == completions(sound.lm, tasks)
    assert adapted.lm.findings and not sound.lm.findings
    live = AutoModelForCausalLM.from_pretrained(base)
    engine = HFEngine(live, tokenizer=tiny.tokenizer("byte_bpe"))
    assert completions(engine.lm, tasks) == completions(HFEngine(place / "base", device="cpu").lm, tasks)
    assert live.generation_config.repetition_penalty == 3.0


def test_end_tokens_are_the_tokenizers_and_such_of_the_model_as_are_special():
    tokenizer = tiny.tokenizer("byte_bpe")
    tokenizer.add_tokens(["<|turn|>"], special_tokens=True)
    turn, ordinary = tokenizer.convert_tokens_to_ids("<|turn|>"), tokenizer.convert_tokens_to_ids("H")
    own = GenerationConfig(eos_token_id=[turn, ordinary])
    assert fit.neutral_settings(own, tokenizer).eos_token_id == [tokenizer.eos_token_id, turn]
    assert fit.own_settings(own, tokenizer) == "1 end tokens that are ordinary ones ('H', ...)"
    honest = GenerationConfig(eos_token_id=[turn], temperature=0.6, top_p=0.9, do_sample=True, max_length=4096)
    assert fit.own_settings(honest, tokenizer) == ""


def test_a_tokenizer_that_does_not_give_prompts_back_is_refused(place, tasks, tmp_path):
    """Plain transformers loads it, and joins the words of every prompt."""
    wrong = with_json(place / "metaspace", tmp_path / "m", "tokenizer_config.json", tokenizer_class="GPT2Tokenizer")
    card = score_engine(HFEngine(wrong, device="cpu"), tasks, name="m").card
    assert set(card.failures) == set(TASKS)
    for sentence in card.failures.values():
        assert "(GPT2Tokenizer by tokenizer_class in tokenizer_config.json) does not give text back" in sentence
        assert str(wrong) in sentence and "becomes" in sentence
    sound = score_engine(HFEngine(place / "metaspace", device="cpu"), tasks, name="m").card
    assert not sound.failures and not sound.manifest.findings
    with pytest.raises(ValueError, match="does not give text back"):
        by_lm_eval(wrong, place)


@pytest.fixture(scope="module")
def spaced() -> HFEngine:
    """A tokenizer of words, as BERT's, which writes a space before a comma."""
    text = [*tiny.TEXT, *(prompt for prompt, _ in small_prompts.STORY), "Hogwarts, owl."] * 3
    tokenizer = tiny.tokenizer("wordpiece", text)
    return HFEngine(tiny.llama(len(tokenizer)), tokenizer=tokenizer)


def test_a_tokenizer_that_changes_spaces_is_said(spaced, tmp_path):
    metadata = small_prompts.write(tmp_path / "prompts")
    file = tmp_path / "prompts/familiarity.jsonl"
    file.write_text(file.read_text().replace("smiled and", "smiled 'and' "))
    card = score_engine(spaced, load_tasks(TASKS[:1], metadata), name="m").card
    assert not card.failed
    (said,) = card.manifest.findings
    assert "smiled ' and" in said and said.endswith("so in 1 of 4 texts")


def test_a_tokenizer_without_capitals_is_asked_for_probabilities_and_not_for_completions(tasks):
    """Of 270 real completions with a familiarity of 3.02 the same in lower case had 2.37, and a finding was all that was said."""
    tokenizer = tiny.tokenizer("byte_bpe")
    state = json.loads(tokenizer.backend_tokenizer.to_str()) | {"normalizer": {"type": "Lowercase"}}
    lower = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)), eos_token="</s>", pad_token="</s>"
    )
    card = score_engine(HFEngine(tiny.llama(len(tokenizer)), tokenizer=lower), tasks, name="m").card
    assert list(card.failures) == ["hp_familiarity"]
    assert "'The old wizard" in card.failures["hp_familiarity"]
    assert "becomes 'the old wizard" in card.failures["hp_familiarity"]
    assert "everything in lower case" in card.failures["hp_familiarity"]
    assert card.get("hp_token_probability", "token_probability").unscored == 0


def test_a_prompt_with_a_letter_that_the_tokenizer_lacks_is_unscored_and_the_others_are_not(spaced, tmp_path):
    metadata = small_prompts.write(tmp_path / "prompts")
    rows = (tmp_path / "prompts/familiarity.jsonl").read_text().replace("headmaster", "head\\u4e16master")
    (tmp_path / "prompts/familiarity.jsonl").write_text(rows)
    card = score_engine(spaced, load_tasks(TASKS[:1], metadata), name="m").card
    assert [value is None for value in card.values["hp_familiarity"]["familiarity"]] == [False, False, False, True]
    assert any(said.endswith("the tokenizer does not give the prompt back") for said in card.manifest.findings)


@pytest.fixture
def short(place, tmp_path) -> Path:
    """A model whose context holds two of the four stories, 12 new tokens included; lm-eval would cut the others from the left."""
    lengths = sorted(len(tiny.tokenizer("byte_bpe")(prompt)["input_ids"]) for prompt, _ in small_prompts.STORY)
    return tiny.save(tmp_path / "short", context=lengths[1] + 12)


def test_a_prompt_that_would_be_cut_is_unscored_with_its_reason(place, tasks, short, tmp_path):
    card = score(short, tasks=TASKS[:1], metadata={"prompts": str(place / "prompts")}, out=tmp_path / "o", device="cpu")
    values = card.values["hp_familiarity"]["familiarity"]
    assert sum(value is None for value in values) == 2
    assert card.failed
    room = AutoModelForCausalLM.from_pretrained(short).config.max_position_embeddings
    reason = f"the prompt and 12 new tokens do not fit the context of {room} tokens"
    assert card.manifest.findings == [f"hp_familiarity: 2 of 4 requests are unscored: {reason}"]
    samples = load_samples(tmp_path / "o", card.name, "hp_familiarity")
    assert [row["verdict"]["unscored"] for row in samples] == [reason if value is None else "" for value in values]


def test_transformers_says_nothing_of_a_length_that_we_tell_ourselves(place, tasks, caplog):
    """ "Token indices sequence length is longer than ...", of prompts that are not asked."""
    tokenizer = tiny.tokenizer("byte_bpe")
    tokenizer.model_max_length = 5
    engine = HFEngine(tiny.llama(len(tokenizer), context=24), tokenizer=tokenizer)
    tokenizer(small_prompts.STORY[0][0])
    assert "Token indices sequence length" in caplog.text
    tokenizer.deprecation_warnings.clear()
    caplog.clear()
    fit.examine(engine.lm, asked(tasks))
    assert not caplog.records


def test_plain_lm_eval_leaves_it_unscored_too(place, short, caplog):
    found = by_lm_eval(short, place, log_samples=True)
    assert found["results"]["hp_familiarity"]["unscored,none"] == 0.5
    assert any("2 of 4 requests are unscored: the prompt and 12" in record.getMessage() for record in caplog.records)


def test_a_context_without_room_for_anything_is_no_traceback(place, tasks):
    card = score_engine(
        HFEngine(tiny.llama(len(tiny.tokenizer("byte_bpe")), context=8), tokenizer=tiny.tokenizer("byte_bpe")), tasks, name="m"
    ).card  # fmt: skip
    assert not card.failures and card.failed
    assert {m.n for m in card.measurements} == {0}
    assert "hp_token_probability: " in card.manifest.findings[1]


def test_a_log_likelihood_that_is_no_number_is_no_right_answer_of_lm_evals_own_tasks():
    """Its argmax of four NaN is the first choice."""
    from hp_bench.scoring.score import _per_prompt

    lost, asked = [[(float("nan"), False)]] * 2, [[(-1.0, True)], [(-2.0, False)]]
    samples = [
        {"doc_id": n, "doc": {}, "metrics": ["acc"], "acc": 1.0, "resps": resps}
        for n, resps in enumerate((lost, asked))
    ]
    assert _per_prompt(samples)[1] == {"acc": [None, 1.0]}


def test_plain_lm_eval_follows_a_models_settings_and_that_is_said(place, tmp_path, caplog):
    model = with_json(place / "base", tmp_path / "m", "generation_config.json", repetition_penalty=3.0)
    by_lm_eval(model, place)
    said = [record for record in caplog.records if "(repetition_penalty=3.0)" in record.getMessage()]
    assert said and all(record.levelno == logging.ERROR for record in said)


def test_answers_from_lm_evals_cache_are_said_to_be(place, tmp_path, caplog):
    """They are those of the first model: lm-eval keeps them by the prompt."""
    other = tiny.save(tmp_path / "other", seed=7)
    cache = str(tmp_path / "c")
    alone = by_lm_eval(other, place)["results"]["hp_token_probability"]["token_probability,none"]
    assert "use_cache" not in caplog.text
    first = by_lm_eval(place / "base", place, use_cache=cache)["results"]["hp_token_probability"]
    second = by_lm_eval(other, place, use_cache=cache)["results"]["hp_token_probability"]
    assert second["token_probability,none"] == first["token_probability,none"] != alone
    assert caplog.text.count(f"answers may come from {cache}_rank0.db") == 2 * len(TASKS)


def test_a_model_that_overflows_in_its_type_is_a_failure_and_not_silence(tasks):
    """Its weights are numbers, what it computes with them in float16 is none: every completion was empty, familiarity 0."""
    tokenizer = tiny.tokenizer("byte_bpe")
    model = tiny.llama(len(tokenizer), dtype=torch.float16)
    with torch.no_grad():
        model.lm_head.weight *= 3e4
    card = score_engine(HFEngine(model, tokenizer=tokenizer), tasks, name="m").card
    assert card.get("hp_familiarity", "familiarity").n == 0
    assert "computes NaN or infinity in torch.float16: score it with --dtype float32" in card.failures["hp_familiarity"]
    wide = score_engine(HFEngine(model.float(), tokenizer=tokenizer), tasks, name="m").card
    assert not wide.failures and wide.get("hp_familiarity", "familiarity").n == 4


def test_an_encoder_is_refused_as_a_decoder(place, tmp_path):
    tokenizer = tiny.tokenizer("byte_bpe")
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    BertLMHeadModel(config).save_pretrained(tmp_path / "bert")
    tokenizer.save_pretrained(tmp_path / "bert")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "bert")  # transformers says it in a warning, at most
    with pytest.raises(ValueError, match=r"no model that continues texts: config.json says model_type 'bert'"):
        HFEngine(tmp_path / "bert", device="cpu")
    with pytest.raises(ValueError, match="no model that continues texts"):
        by_lm_eval(tmp_path / "bert", place)
    fit.require_decoder(BertConfig(is_decoder=True), "m")
    with pytest.raises(ValueError, match="model_type 'gemma3_text'"):
        fit.require_decoder(Gemma3TextConfig(use_bidirectional_attention=True), "m")


def test_a_tokenizer_larger_than_the_embeddings_is_refused(place, tasks):
    engine = HFEngine(tiny.llama(300), tokenizer=tiny.tokenizer("byte_bpe"))
    card = score_engine(engine, tasks, name="m").card
    assert all("and the model knows 300 (vocab_size of its config.json)" in said for said in card.failures.values())


def test_a_padding_token_that_the_model_does_not_know_is_not_used(place, tasks):
    tokenizer = tiny.tokenizer("byte_bpe")
    size = len(tokenizer)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    found = completions(HFEngine(tiny.llama(size), tokenizer=tokenizer).lm, tasks)
    assert found == completions(HFEngine(tiny.llama(size), tokenizer=tiny.tokenizer("byte_bpe")).lm, tasks)


@pytest.mark.parametrize(
    "made, message",
    [
        ("endless", "names no end token: write eos_token into its tokenizer_config.json"),
        ("unknown", "cannot read 'a': .*unk.*tokenizer.json is incomplete"),
        ("closing", "ends every text with '</s>'"),
    ],
)
def test_a_tokenizer_that_cannot_be_asked_is_one_sentence(made, message):
    tokenizer = tiny.tokenizer("byte_bpe")
    if made == "endless":
        tokenizer.eos_token = tokenizer.pad_token = None
    elif made == "unknown":
        small = Tokenizer(models.BPE(vocab={"b": 0}, merges=[], unk_token="<unk>"))
        small.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=small, eos_token="b")
    else:
        from tokenizers.processors import TemplateProcessing

        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single="$A </s>", special_tokens=[("</s>", tokenizer.eos_token_id)]
        )
    with pytest.raises(ValueError, match=message):
        HFEngine(tiny.llama(len(tiny.tokenizer("byte_bpe"))), tokenizer=tokenizer)


def test_a_tokenizer_class_that_cannot_read_its_file_is_one_sentence(place, tmp_path):
    wrong = with_json(place / "base", tmp_path / "m", "tokenizer_config.json", tokenizer_class="T5Tokenizer")
    with pytest.raises(ValueError, match="cannot be loaded .*tokenizer_class in tokenizer_config.json is not"):
        HFEngine(wrong, device="cpu")
