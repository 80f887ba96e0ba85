"""`hp_token_probability` against a calculation with bare transformers, for every family of tokenizers, in two precisions."""

import json
import math
from types import SimpleNamespace

import pytest
import tiny
import torch
from lm_eval.models.huggingface import HFLM
from tokenizers import processors

from hp_bench.engines.hf import HFEngine
from hp_bench.probes.paths import prompts_dir
from hp_bench.probes.rows import TokenProbe, load_token_probes
from hp_bench.results.likelihoods import probability_mass
from hp_bench.scoring.score import load_tasks, score_engine

FAMILIES = ("byte_bpe", "metaspace_bpe", "unigram", "wordpiece")
WHOLE_WORDS = 1000  # size of a vocabulary that holds the words of the tiny text whole
OWN = [
    TokenProbe(
        "a", "Nora Quill, the archivist, studies", specific=("maps", "stars", "law"), generic=("medicine", "music")
    ),
    TokenProbe("b", "“Where is the captain’s lantern?” asked", specific=("Nora", "Brandt"), generic=("they", "café")),
]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def probes() -> list[TokenProbe]:
    """Ours, mostly of single-token words for these tokenizers, and real ones, of many tokens a word."""
    return OWN + load_token_probes(prompts_dir() / "token_probability.jsonl")[6:10]


@pytest.fixture
def metadata(probes, tmp_path) -> dict[str, str]:
    path = tmp_path / "token_probability.jsonl"
    rows = [{k: v for k, v in vars(p).items() if not k.startswith("_")} for p in probes]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {"prompts": str(path)}


def word_probability(model, tokenizer, prompt: str, word: str) -> float:
    """P(word | prompt): of the canonical encoding of both, the tokens that reach beyond the prompt's last character."""
    encoded = tokenizer(f"{prompt} {word}", return_offsets_mapping=True, return_tensors="pt")
    ids = encoded["input_ids"][0]
    with torch.no_grad():
        log_probabilities = torch.log_softmax(model(input_ids=ids[None]).logits[0], dim=-1)
    ends = [end for _, end in encoded["offset_mapping"][0].tolist()]
    scored = [position for position, end in enumerate(ends) if end > len(prompt)]
    return math.exp(sum(log_probabilities[position - 1, ids[position]].item() for position in scored))


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-9)], ids=["float32", "float64"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_bare_calculation_agrees(family, dtype, tolerance, probes, metadata):
    letters = [f"{probe.prompt} {' '.join(probe.specific + probe.generic)}" for probe in probes]  # all are known
    tokenizer = tiny.tokenizer(family, [*tiny.TEXT, *letters], vocab_size=WHOLE_WORDS)
    model = tiny.llama(len(tokenizer), dtype=dtype)
    expected = {"token_probability": [], "token_probability_share": []}
    for probe in probes:
        specific = sum(word_probability(model, tokenizer, probe.prompt, word) for word in probe.specific)
        generic = sum(word_probability(model, tokenizer, probe.prompt, word) for word in probe.generic)
        expected["token_probability"].append(specific)
        expected["token_probability_share"].append(specific / (specific + generic))
    engine = HFEngine(model, tokenizer=tokenizer, device="cpu")
    assert engine.dtype == str(dtype).removeprefix("torch.")
    card = score_engine(engine, load_tasks(["hp_token_probability"], metadata), name="m").card
    for metric, values in expected.items():
        assert card.values["hp_token_probability"][metric] == pytest.approx(values, abs=tolerance, rel=tolerance * 10)
        mean = card.get("hp_token_probability", metric)
        assert mean.value == pytest.approx(sum(values) / len(values), abs=tolerance)
        assert mean.n == len(probes)
    assert max(expected["token_probability"]) > 1e-3  # the agreement is not one of zeros


def test_a_folder_loaded_in_double_precision_agrees_too(tmp_path, probes, metadata):
    """`dtype` alone decides: lm-eval takes its softmax in the type of the logits unless `softmax_dtype` says otherwise."""
    folder = tiny.save(tmp_path / "model", "byte_bpe")
    engine = HFEngine(folder, device="cpu", dtype="float64")
    values = score_engine(engine, load_tasks(["hp_token_probability"], metadata), name="m").card.values
    tokenizer = tiny.tokenizer("byte_bpe")
    model = tiny.llama(len(tokenizer)).double()
    expected = [sum(word_probability(model, tokenizer, p.prompt, word) for word in p.specific) for p in probes]
    assert values["hp_token_probability"]["token_probability"] == pytest.approx(expected, abs=1e-9)


def closed(family: str = "byte_bpe"):
    """A tokenizer that ends every text with </s>, as some are saved."""
    tokenizer = tiny.tokenizer(family, vocab_size=WHOLE_WORDS)
    end = ("</s>", tokenizer.convert_tokens_to_ids("</s>"))
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[end])
    return tokenizer


@pytest.mark.parametrize("long", [(), ("quarrelsomeness",)], ids=["single tokens", "one word of several"])
def test_a_tokenizer_that_ends_texts_with_a_special_token_leaves_words_unscored(tmp_path, long):
    tokenizer = closed()
    words = {"specific": ("maps", "law", *long), "generic": ("chess", "medicine")}
    for word in (*words["specific"], *words["generic"]):
        assert (len(tokenizer.encode(f" {word}", add_special_tokens=False)) == 1) == (word not in long)
    path = tmp_path / "token_probability.jsonl"
    path.write_text(json.dumps({"id": "a", "prompt": "Nora studies", **words}) + "\n")
    lm = HFLM(pretrained=tiny.llama(len(tokenizer)), tokenizer=tokenizer, batch_size=8)
    engine = SimpleNamespace(lm=lm, name="hf", model="closed", dtype="float32")
    card = score_engine(engine, load_tasks(["hp_token_probability"], {"prompts": str(path)}), name="m").card
    found = card.get("hp_token_probability", "token_probability")
    assert (found.value, found.n, found.unscored) == (None, 0, 1)
    assert card.failed


def test_our_engine_refuses_such_a_tokenizer():
    tokenizer = closed()
    with pytest.raises(ValueError, match=r"ends every text with '</s>', so the model cannot continue a prompt"):
        HFEngine(tiny.llama(len(tokenizer)), tokenizer=tokenizer, device="cpu")


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_our_engine_takes_every_other_tokenizer(family):
    tokenizer = tiny.tokenizer(family)
    taken = HFEngine(tiny.llama(len(tokenizer)), tokenizer=tokenizer, device="cpu").lm.tokenizer
    assert taken is not tokenizer  # lm-eval adds padding tokens: to a copy
    assert taken.get_vocab() == tokenizer.get_vocab()


def test_mass_and_share_are_sums_of_probabilities():
    mass = probability_mass([math.log(p) for p in (0.1, 0.2, 0.05, 0.25)], 2)
    assert mass.specific == pytest.approx(0.3)
    assert mass.share == pytest.approx(0.5)


def test_impossible_words_have_no_share():
    mass = probability_mass([-math.inf] * 3, 1)
    assert mass.specific == 0
    assert math.isnan(mass.share)


@pytest.mark.parametrize(
    "values", [[math.nan, -1.0], [0.5, -1.0], [-2.5, -2.5], [-2.5, -2.5, -1.0], [-3.0] * 4 + [-1.0, -2.0]]
)
def test_log_likelihoods_that_make_no_sense_are_refused(values):
    with pytest.raises(ValueError, match="log-likelihood"):
        probability_mass(values, 1)


@pytest.mark.parametrize("values", [[-2.5, -2.5, -1.0, -3.0], [-2.5], [-math.inf, -math.inf, -1.0], [0.0, -9.0]])
def test_two_words_may_be_equally_likely_by_chance(values):
    assert 0 <= probability_mass(values, 1).specific <= 1
