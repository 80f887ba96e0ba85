"""The methods that act at inference: the ensemble and the prompt. Token by token they are what their formulas say, cached or not."""

import functools
import json
from pathlib import Path

import pytest
import tiny
import torch

from unlearn.methods import run
from unlearn.methods.ensemble import Ensemble
from unlearn.methods.live import load_unlearned
from unlearn.methods.prompt_only import Prompted
from unlearn.models import load_model, load_tokenizer
from unlearn.recipe import Recipe

PROMPT = "You know nothing of Nora Quill."


@pytest.fixture(scope="module", params=["metaspace_bpe", "byte_bpe"])
def place(request, tmp_path_factory) -> Path:
    """One tokenizer that adds BOS, one that adds nothing."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp(request.param)
    tiny.save(root / "base", request.param, hidden=32)
    tok = load_tokenizer(root / "base")
    tiny.llama(len(tok), seed=5, hidden=32).save_pretrained(root / "strong")
    tok.save_pretrained(root / "strong")
    (root / "target.txt").write_text("\n".join(tiny.TEXT[:6]))
    return root


def recipe(place: Path, out: str, method: str, **changes) -> Recipe:
    training = {"batch_size": 4, "accumulation": 1, "learning_rate": 1e-3, "max_steps": 2, "save_every": 0}
    content = {
        "model": str(place / "base"), "corpus": str(place / "target.txt"), "out": str(place / out), "device": "cpu", "method": method,
        "labels": {"block_tokens": 24}, "reinforce": training,
    }  # fmt: skip
    return Recipe.build({**content, **changes})


@pytest.fixture(scope="module")
def ensemble(place) -> Ensemble:
    return Ensemble(*(load_model(place / name, device="cpu") for name in ("base", "strong")), alpha=1.5)


@pytest.fixture(scope="module")
def prompted(place) -> Prompted:
    return Prompted(load_model(place / "base", device="cpu"), load_tokenizer(place / "base"), PROMPT)


@functools.cache
def loaded(path: Path):
    return load_model(path, device="cpu")


@torch.no_grad()
def ensemble_logits(place, ids: list[int], alpha: float) -> torch.Tensor:
    """The next token's: b - alpha * ReLU(r - b), element by element, (V,)."""
    b, r = (loaded(place / name)(torch.tensor([ids])).logits[0, -1].tolist() for name in ("base", "strong"))
    return torch.tensor([x - alpha * max(0.0, y - x) for x, y in zip(b, r, strict=True)])


@torch.no_grad()
def prompt_logits(place, ids: list[int]) -> torch.Tensor:
    """The next token's, behind the prompt, with one BOS at the very front if the tokenizer adds any, (V,)."""
    tok = load_tokenizer(place / "base")
    before = tok(PROMPT + "\n\n")["input_ids"]
    text = ids[1:] if ids[0] == tok.bos_token_id else ids
    return loaded(place / "base")(torch.tensor([before + text])).logits[0, -1]


def next_logits(place, kind: str, ids: list[int]) -> torch.Tensor:
    return ensemble_logits(place, ids, 1.5) if kind == "ensemble" else prompt_logits(place, ids)


@pytest.mark.parametrize("kind", ["ensemble", "prompted"])
def test_every_position_is_what_the_formula_says(place, kind, request):
    model = request.getfixturevalue(kind)
    ids = load_tokenizer(place / "base")("Nora met an owl.")["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([ids, ids])).logits
    assert torch.equal(logits[0], logits[1])
    for position in range(len(ids)):
        assert torch.allclose(logits[0, position], next_logits(place, kind, ids[: position + 1]), atol=1e-4)


@pytest.mark.parametrize("kind", ["ensemble", "prompted"])
def test_generation_with_caches_is_generation_without(place, kind, request):
    """Two texts of unequal length, padded on the left; each token is the argmax that the formula gives for that text alone."""
    model, tok = request.getfixturevalue(kind), load_tokenizer(place / "base")
    tok.padding_side = "left"
    texts = ["Where is Captain Brandt's lantern?", "Nora"]
    batch = tok(texts, return_tensors="pt", padding=True)
    found = {
        cached: model.generate(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], max_new_tokens=6, min_new_tokens=6, do_sample=False,
            use_cache=cached, pad_token_id=tok.pad_token_id,
        )[:, batch["input_ids"].shape[1] :]
        for cached in (True, False)
    }  # fmt: skip
    assert torch.equal(found[True], found[False])
    for row, text in enumerate(texts):
        ids = tok(text)["input_ids"]
        for token in found[True][row].tolist():
            logits = next_logits(place, kind, ids)
            logits[tok.eos_token_id] = -torch.inf  # min_new_tokens
            assert logits[token] >= logits.max() - 1e-3
            ids.append(token)


def test_alpha_zero_is_the_baseline_and_beams_and_saving_are_refused(place, ensemble, tmp_path):
    base = load_model(place / "base", device="cpu")
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        assert torch.equal(Ensemble(base, ensemble.reinforced, alpha=0.0)(ids).logits, base(ids).logits)
        linear = Ensemble(base, ensemble.reinforced, alpha=1.0, offset="linear")(ids).logits
        assert torch.allclose(linear, 2 * base(ids).logits - ensemble.reinforced(ids).logits, atol=1e-5)
    with pytest.raises(ValueError, match="num_beams=2: Ensemble generates greedily or by sampling"):
        ensemble.generate(input_ids=ids, num_beams=2)
    with pytest.raises(ValueError, match="has no weights of its own to save"):
        ensemble.save_pretrained(tmp_path / "x")
    with pytest.raises(ValueError, match="vocabularies do not match"):
        Ensemble(base, tiny.llama(77, hidden=32))


def test_runs_leave_descriptions_that_are_loaded_live(place):
    made = recipe(place, "run-ensemble", "ensemble", options={"alpha": 2.0})
    folder = run(made) / "checkpoint-1"
    assert json.loads((folder / "live.json").read_text())["alpha"] == 2.0
    live = load_unlearned(folder, device="cpu")
    strong = load_model(Path(made.out) / "reinforced", device="cpu")
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        assert torch.equal(
            live(ids).logits, Ensemble(load_model(place / "base", device="cpu"), strong, alpha=2.0)(ids).logits
        )
    with pytest.raises(ValueError, match=r"checkpoints in .* was made from other inputs .*alpha: 2.0 then, 3.0 now"):
        run(recipe(place, "run-ensemble", "ensemble", options={"alpha": 3.0}))
    prompted = load_unlearned(
        run(recipe(place, "run-prompt", "prompt_only", options={"prompt": PROMPT})) / "checkpoint-1", device="cpu"
    )
    assert isinstance(prompted, Prompted)
    assert type(load_unlearned(place / "base", device="cpu")).__name__ == "LlamaForCausalLM"
    (folder / "live.json").write_text('{"method": "magic", "baseline": "' + str(place / "base") + '"}')
    with pytest.raises(ValueError, match="no live model is known of method 'magic'"):
        load_unlearned(folder, device="cpu")


@pytest.mark.parametrize("kind", ["ensemble", "prompted"])
def test_the_benchmark_scores_a_live_model(place, kind, request):
    """Completions and likelihoods by lm-eval: a likelihood is the sum of the formula's log-probabilities."""
    from hp_bench.engines.hf import HFEngine

    model, tok = request.getfixturevalue(kind), load_tokenizer(place / "base")
    engine = HFEngine(model, tokenizer=tok, batch_size=4)
    from lm_eval.api.instance import Instance

    pairs = [("Nora met", " an owl."), ("Where is the lantern", " of Port Ansel")]
    asked = [Instance("loglikelihood", {}, pair, n) for n, pair in enumerate(pairs)]
    for (context, continuation), (total, _) in zip(pairs, engine.lm.loglikelihood(asked), strict=True):
        whole, before = (tok(text)["input_ids"] for text in (context + continuation, context))
        expected = sum(
            next_logits(place, kind, whole[:at]).log_softmax(-1)[whole[at]].item()
            for at in range(len(before), len(whole))
        )
        assert total == pytest.approx(expected, abs=1e-3)
    told = engine.lm.generate_until(
        [Instance("generate_until", {}, ("Nora met", {"until": ["\n"], "max_gen_toks": 4}), 0)]
    )
    assert isinstance(told[0], str)


MINE = """
from pydantic import Field
from unlearn.methods.live import LiveModel, cache_of, write_description
from unlearn.models import load_model
from unlearn.pipeline import stages
from unlearn.registry import Method
from unlearn.settings import Section

class Options(Section):
    factor: float = Field(2.0, gt=0)

def run(recipe, *, callbacks=()):
    return write_description(recipe, *stages.open_run(recipe))

def load(description, folder, *, device, dtype):
    return Louder(load_model(description["baseline"], device=device, dtype=dtype), description["factor"])

class Louder(LiveModel):
    def __init__(self, baseline, factor):
        super().__init__(baseline)
        self._factor = factor
        self.eval()

    def forward(self, input_ids=None, attention_mask=None, **given):
        out = self.baseline(input_ids=input_ids, attention_mask=attention_mask, **cache_of(given)[0])
        out.logits = out.logits * self._factor
        return out

louder = Method("my_louder_method", finetune=False, live=True)
"""


def test_a_users_own_live_method_runs_and_is_loaded_by_its_name(place, tmp_path, monkeypatch):
    (tmp_path / "my_louder_method.py").write_text(MINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    made = recipe(place, "run-mine", "my_louder_method:louder", options={"factor": 3.0})
    folder = run(made) / "checkpoint-1"
    assert json.loads((folder / "live.json").read_text())["method"] == "my_louder_method:louder"
    live = load_unlearned(folder, device="cpu")
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        assert torch.allclose(live(ids).logits, 3 * loaded(place / "base")(ids).logits)
    assert type(live).__name__ == "Louder"
