"""Activation patching against a model written out by hand, and against hooks on models of other families; what cannot be patched is said."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from typer.testing import CliRunner

from hp_bench.cli import app
from hp_bench.stress.patching import LEAST, Patched, inspect_models, inspection

FACTS = {
    "archivist": ("The archivist who keeps the old maps is called", "Nora Quill"),
    "flour": ("The baker bought eggs, butter and", "flour"),
    "lantern": ("It was the captain's", "magic lantern"),
    "river": ("The café was closed, the one by the", "river"),
    "sea": ("They live in Brandt-on-", "Sea"),
    "cello": ("She plays chess, football and, when she is at home in the tower, the", "cello"),
    "feast": ("All of it was for the", "harvest feast"),
}


WRONG = ["a locked cabinet", "music", "the stars at night"]
KNOWN_TO_THE_TWIN = ("sea", "river", "feast")


def _taught(tokenizer, ids):
    """Some facts by heart, from the same first weights."""
    model = tiny.llama(len(tokenizer)).train()
    texts = [torch.tensor([tokenizer(" ".join(FACTS[one]))["input_ids"]]) for one in ids]
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(12):
        for text in texts:
            model(input_ids=text, labels=text).loss.backward()
            optimiser.step()
            optimiser.zero_grad()
    return model.eval()


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("patching")
    tokenizer = tiny.tokenizer("byte_bpe")
    twin = _taught(tokenizer, KNOWN_TO_THE_TWIN)
    baseline = _taught(tokenizer, [one for one in FACTS if one != "feast"])
    halfway = tiny.llama(len(tokenizer))
    ours, theirs = baseline.state_dict(), twin.state_dict()
    halfway.load_state_dict({name: 0.7 * tensor + 0.3 * theirs[name] for name, tensor in ours.items()})
    for name, model in {"baseline": baseline, "twin": twin, "model": halfway}.items():
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    (root / "prompts").mkdir()
    rows = [
        {
            "id": one,
            "question": "Which?",
            "cloze": cloze,
            "answer": answer,
            "distractors": WRONG,
            "topic": "t",
        }
        for one, (cloze, answer) in FACTS.items()
    ]
    (root / "prompts/qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return root


def command(place: Path, *words: object, model: str = "model", baseline: str = "baseline", twin: str = "twin"):
    given = [
        place / model if "://" not in model else model, "--baseline", place / baseline, "--twin", place / twin, "--metadata",
        f"prompts={place / 'prompts'}", "--device", "cpu", *words,
    ]  # fmt: skip
    return CliRunner().invoke(app, ["inspect", *map(str, given)])


def inspected(place: Path, *models: str, **options):
    return inspect_models(
        [str(place / name) for name in models], baseline=str(place / "baseline"), twin=str(place / "twin"),
        metadata={"prompts": str(place / "prompts")}, **options,
    )  # fmt: skip


# The oracle: a Llama of two layers, written out


class ByHand:
    """`tiny.llama` in plain torch, from its file of weights: two layers, two heads of 32, one text at a time."""

    def __init__(self, folder: Path) -> None:
        self.w = {name: tensor.double() for name, tensor in load_file(folder / "model.safetensors").items()}
        config = json.loads((folder / "config.json").read_text())
        self.epsilon, self.theta = config["rms_norm_eps"], config["rope_parameters"]["rope_theta"]

    def norm(self, x, name):
        return x / (x.pow(2).mean(-1, keepdim=True) + self.epsilon).sqrt() * self.w[name]

    def turn(self, x):
        """Rotary positions of one head's queries or keys, (T, 32)."""
        angles = torch.arange(len(x))[:, None] * self.theta ** (-torch.arange(0, 32, 2).double() / 32)
        a, b = x[:, :16], x[:, 16:]
        return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()], dim=1)

    def layer(self, number, x):
        at = f"model.layers.{number}."
        y = self.norm(x, at + "input_layernorm.weight")
        q, k, v = (y @ self.w[f"{at}self_attn.{one}_proj.weight"].T for one in "qkv")
        heads = []
        for start in (0, 32):
            part = slice(start, start + 32)
            scores = self.turn(q[:, part]) @ self.turn(k[:, part]).T / math.sqrt(32)
            unseen = torch.ones(len(x), len(x)).triu(1).bool()
            heads.append(scores.masked_fill(unseen, -math.inf).softmax(-1) @ v[:, part])
        x = x + torch.cat(heads, dim=1) @ self.w[at + "self_attn.o_proj.weight"].T
        y = self.norm(x, at + "post_attention_layernorm.weight")
        gate, up = (y @ self.w[f"{at}mlp.{one}_proj.weight"].T for one in ("gate", "up"))
        return x + (F.silu(gate) * up) @ self.w[at + "mlp.down_proj.weight"].T

    def states(self, ids):
        """After the embedding, and after each of the two layers."""
        first = self.w["model.embed_tokens.weight"][ids]
        second = self.layer(0, first)
        return first, second, self.layer(1, second)

    def answer(self, last, ids, given):
        logs = (self.norm(last, "model.norm.weight") @ self.w["lm_head.weight"].T).log_softmax(-1)
        return sum(float(logs[place - 1, ids[place]]) for place in range(given, len(ids)))


def by_hand(place: Path) -> dict[str, list[list[float]]]:
    """Per fact: costs of the twin and of the model, of their own answers, after layer 1, after layer 2."""
    tokenizer = tiny.tokenizer("byte_bpe")
    baseline, twin, model = (ByHand(place / name) for name in ("baseline", "twin", "model"))
    costs = {}
    for one, (cloze, answer) in FACTS.items():
        costs[one] = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
        for choice, weight in ((answer, 1), *((wrong, -1 / 3) for wrong in WRONG)):
            ids, given = tokenizer(f"{cloze} {choice}")["input_ids"], len(tokenizer(cloze)["input_ids"])
            before = baseline.answer(baseline.states(ids)[-1], ids, given)
            for number, other in enumerate((twin, model)):
                _, first, second = other.states(ids)
                after = (
                    other.answer(second, ids, given),
                    baseline.answer(baseline.layer(1, first), ids, given),
                    baseline.answer(second, ids, given),
                )
                for row, value in enumerate(after):
                    costs[one][number][row] += weight * (before - value)
    return costs


def test_the_numbers_are_those_of_two_layers_written_out_by_hand(place):
    (found,) = inspected(place, "model", facts=0)
    costs = by_hand(place)
    assert found.facts == tuple(one for one, (twin, _) in costs.items() if twin[0] >= LEAST)
    assert 3 <= len(found.facts) < len(FACTS) and found.left_out == len(FACTS) - len(found.facts)
    between = 0
    for row in range(3):
        layer, each = found.layers[row], [costs[one] for one in found.facts]
        assert layer.layer == row
        assert layer.twin_cost == pytest.approx(sum(twin[row] for twin, _ in each) / len(each), abs=1e-5)
        assert layer.cost == pytest.approx(sum(model[row] for _, model in each) / len(each), abs=1e-5)
        wanted = [min(max(1 - model[row] / twin[row], 0), 1) if twin[row] >= LEAST else None for twin, model in each]
        assert layer.recovered.values == pytest.approx(wanted, abs=1e-5)
        real = [value for value in wanted if value is not None]
        assert layer.recovered.value == pytest.approx(sum(real) / len(real), abs=1e-5)
        assert layer.recovered.low <= layer.recovered.value <= layer.recovered.high
        between += sum(0 < value < 1 for value in real)
    assert between  # shares that are not cut
    for one, value in zip(found.facts, found.recovered.values, strict=True):
        twin, model = costs[one]
        kept = [row for row in (1, 2) if twin[row] >= LEAST]
        shares = [twin[row] * min(max(1 - model[row] / twin[row], 0), 1) for row in kept]
        wanted = sum(shares) / sum(twin[row] for row in kept) if kept else None
        assert value == pytest.approx(wanted, abs=1e-5)


def test_facts_without_distractors_have_the_answers_own_log_probability(place, tmp_path):
    """Of `hp_extraction`: the twin's own answers against the log-likelihoods that transformers gives."""
    rows = [{"id": one, "prompt": cloze, "answer": answer} for one, (cloze, answer) in FACTS.items()]
    (tmp_path / "facts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (found,) = inspect_models(
        [str(place / "model")], baseline=str(place / "baseline"), twin=str(place / "twin"), tasks=["hp_extraction"],
        metadata={"prompts": str(tmp_path / "facts.jsonl")},
    )  # fmt: skip
    tokenizer = tiny.tokenizer("byte_bpe")
    baseline, twin = (AutoModelForCausalLM.from_pretrained(place / name) for name in ("baseline", "twin"))
    costs = []
    for one in found.facts:
        ids = tokenizer(" ".join(FACTS[one]), return_tensors="pt")["input_ids"]
        given = len(tokenizer(FACTS[one][0])["input_ids"])
        labels = ids.clone()
        labels[0, :given] = -100
        before, after = (
            -m(input_ids=ids, labels=labels).loss.item() * (ids.shape[1] - given) for m in (baseline, twin)
        )
        costs.append(before - after)
    assert costs and found.layers[0].twin_cost == pytest.approx(sum(costs) / len(costs), abs=1e-4)


def test_the_baselines_own_states_give_all_back_and_the_twins_nothing(place):
    own, twin = inspected(place, "baseline", "twin")
    assert [layer.cost for layer in own.layers] == [0, 0, 0]
    for found, share in ((own, 1), (twin, 0)):
        assert {v for layer in found.layers for v in layer.recovered.values} - {None} == {share}
        assert found.recovered.value == share


# Other families, against hooks


def family(kind: str, seed: int):
    torch.manual_seed(seed)
    size = {
        "vocab_size": 300,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
    }
    if kind == "gpt2":
        model = GPT2LMHeadModel(
            GPT2Config(vocab_size=300, n_embd=32, n_layer=3, n_head=2, n_positions=64, initializer_range=0.3)
        )
    elif kind == "gpt_neox":
        model = GPTNeoXForCausalLM(GPTNeoXConfig(**size, initializer_range=0.3))
    elif kind == "qwen2":
        model = Qwen2ForCausalLM(Qwen2Config(**size, num_key_value_heads=1, initializer_range=0.3))
    else:
        model = Gemma2ForCausalLM(
            Gemma2Config(**size, num_key_value_heads=1, head_dim=16, sliding_window=4, initializer_range=0.3)
        )
    return model.eval()


@torch.inference_mode()
def hooked(baseline, donor, depth: int, text: list[int], given: int) -> float:
    """One text, nothing padded, every layer run: a hook throws away what layer `depth` says."""
    state = []

    def taken(_, __, output):
        state.append(output)

    layers = [
        next(m for m in one.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == 3)
        for one in (baseline, donor)
    ]
    hook = layers[1][depth].register_forward_hook(taken)
    donor(torch.tensor([text]))
    hook.remove()
    hook = layers[0][depth].register_forward_hook(lambda *_: state[0])
    logs = baseline(torch.tensor([text])).logits[0].double().log_softmax(-1)
    hook.remove()
    return sum(float(logs[place - 1, text[place]]) for place in range(given, len(text)))


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neox", "qwen2", "gemma2"])
def test_every_family_answers_as_under_a_hook(kind):
    from hp_bench.stress.patching import Batch

    baseline, donor = family(kind, 0), family(kind, 1)
    before = dict(baseline.named_modules())
    texts, given = [list(range(3, 12)), list(range(40, 46))], [6, 4]
    tokens = [(row, at - 1, text[at]) for row, text in enumerate(texts) for at in range(given[row], len(text))]
    ids = torch.tensor([text[:-1] + [0] * (9 - len(text)) for text in texts])
    batch = Batch([0, 1], ids, *map(torch.tensor, zip(*tokens, strict=True)))
    patched = Patched(baseline, "baseline")
    own, _ = patched.states(batch)
    _, states = Patched(donor, "donor").states(batch)
    assert len(states) == 3
    for depth, state in enumerate(states):
        wanted = [hooked(baseline, donor, depth, text, start) for text, start in zip(texts, given, strict=True)]
        found = patched.answers(batch, depth, state)
        assert found.tolist() == pytest.approx(wanted, abs=1e-4)
        assert (found - own).abs().max() > 0.1  # the patch does something
    assert torch.equal(patched.states(batch)[0], own)  # and leaves nothing behind
    assert not any(
        "forward" in vars(module) for module in baseline.modules() if not isinstance(module, torch.nn.Linear)
    )
    assert dict(baseline.named_modules()) == before


# From costs to shares


def test_shares_are_cut_and_facts_that_do_not_differ_are_left_out():
    twin = np.array([[5.0, 0.9, 4.0, 2.0], [4.0, 3.0, 0.5, 2.0], [8.0, 3.0, 2.0, 0.1]])
    model = np.array([[2.5, 0.0, 5.0, -1.0], [1.0, 0.0, 0.0, 1.0], [8.0, 0.0, 0.5, 0.0]])
    found = inspection("m", ["a", "b", "c", "d"], twin, model)
    assert found.facts == ("a", "c", "d") and found.left_out == 1
    own, first, second = found.layers
    assert own.recovered.values == (0.5, 0.0, 1.0) and own.recovered.value == 0.5
    assert first.recovered.values == (0.75, None, 0.5) and first.recovered.n == 2
    assert second.recovered.values == (0.0, 0.75, None)
    assert found.recovered.values == (0.25, 0.75, 0.5)  # (4 x .75 + 8 x 0) / 12, 2 x .75 / 2, 2 x .5 / 2
    assert first.twin_cost == pytest.approx(6.5 / 3) and first.cost == pytest.approx(2 / 3)


def test_a_layer_without_a_fact_has_no_number():
    found = inspection("m", ["a"], np.array([[5.0], [0.2], [3.0]]), np.zeros((3, 1)))
    empty = found.layers[1].recovered
    assert not found.unreadable
    assert (empty.value, empty.low, empty.high, empty.values, empty.n) == (None, None, None, (None,), 0)
    assert found.recovered.values == (1.0,)


def test_states_that_the_baseline_cannot_read_are_said(place, tmp_path):
    """A twin from other first weights."""
    tiny.save(tmp_path / "strange", seed=1)
    done = command(place, "--out", tmp_path / "out", "--json", twin=str(tmp_path / "strange"))
    assert "the baseline cannot read strange's states" in done.stderr and done.exit_code == 0
    assert "cannot read" not in command(place, "--out", tmp_path / "out").stderr


def test_what_is_no_number_is_no_score():
    costs = np.array([[5.0], [math.nan]])
    with pytest.raises(ValueError, match="states of m or of the twin make log-probabilities that are no numbers"):
        inspection("m", ["a"], np.array([[5.0], [2.0]]), costs)


# The command


def test_the_command_prints_draws_and_keeps_the_same_bytes_every_time(place, tmp_path):
    for name in ("one", "two"):
        done = command(place, "--facts", 6, "--seed", 3, "--batch-size", 2, "--out", tmp_path / name)
        assert done.exit_code == 0, done.output + repr(done.exception)
    files = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert set(files) == {"inspect.json", "inspect.png", "inspect.svg"}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}
    kept = json.loads(files["inspect.json"])
    (model,) = kept["models"]
    assert len(model["facts"]) + model["left_out"] == 6
    said = done.stdout
    assert said.startswith(f"model: its hidden states give back {model['recovered']['value']:.2f} [")
    assert "after layer 2" in said and max(map(len, said.splitlines())) <= 80
    printed = command(place, "--facts", 6, "--seed", 3, "--out", tmp_path / "three", "--json")  # in one batch
    (again,) = json.loads(printed.stdout)["models"]
    assert again["facts"] == model["facts"]
    assert again["recovered"]["values"] == pytest.approx(model["recovered"]["values"], abs=1e-4)
    other = command(place, "--facts", 3, "--seed", 4, "--out", tmp_path / "four", "--json")
    assert json.loads(other.stdout)["models"][0]["facts"] != model["facts"]


@pytest.fixture(scope="module")
def others(place) -> Path:
    """Models that do not go together with the baseline."""
    tiny.save(place / "wider", hidden=96)
    tiny.save(place / "deeper", layers=3)
    tok = tiny.tokenizer("glue_bpe", vocab_size=len(tiny.tokenizer("byte_bpe")))
    tiny.llama(len(tiny.tokenizer("byte_bpe")), seed=2).save_pretrained(place / "speaks")
    tok.save_pretrained(place / "speaks")
    (place / "prompts/neighbours.jsonl").write_bytes((place / "prompts/qa.jsonl").read_bytes())
    (place / "packed").mkdir()
    (place / "packed/model.gguf").write_bytes(b"GGUF")
    return place


@pytest.mark.parametrize(
    "models, words, message",
    [
        ({"model": "wider"}, (), "wider' is of another architecture than the model loaded .*hidden_size: 64 against 96"),
        ({"twin": "deeper"}, (), "deeper' is of another architecture .*num_hidden_layers: 2 against 3"),
        ({"model": "speaks"}, (), "speaks' has .*tokenizer"),
        ({"model": "http://localhost:1/v1"}, (), "of 'http://localhost:1/v1' cannot be seen by the engine 'endpoint'"),
        ({}, ("--engine", "vllm"), "cannot be seen by the engine 'vllm': inspect needs the weights"),
        ({"model": "packed"}, (), "GGUF"),
        ({"model": "nowhere"}, (), "nowhere' does not exist"),
        ({"twin": "baseline"}, (), "no fact counts: of none of 7 does the baseline prefer the answer by 1 nat more"),
        ({}, ("--tasks", "hp_neighbours"), "none of the tasks hp_neighbours asks for facts with one answer"),
        ({}, ("--metadata", "prompts=/nowhere"), "nowhere"),
    ],
)  # fmt: skip
def test_what_cannot_be_inspected_is_said_in_one_sentence(others, tmp_path, models, words, message):
    done = command(others, *words, "--out", tmp_path / "out", **models)
    with pytest.raises(ValueError, match=message):
        raise done.exception
    assert not (tmp_path / "out").exists()


def test_a_fact_that_does_not_fit_the_context_is_named(place, tmp_path):
    for seed, name in enumerate(("baseline", "twin", "model")):
        tiny.save(tmp_path / name, seed=seed, context=12)
    (tmp_path / "prompts").symlink_to(place / "prompts")
    with pytest.raises(ValueError, match="fact 'archivist' cannot be asked: .* do not fit the context of 12 tokens"):
        inspected(tmp_path, "model")


def test_layers_that_cannot_be_found_are_said():
    model = family("gpt2", 0)
    model.config.num_hidden_layers = 5
    with pytest.raises(
        ValueError, match="layers of 'strange' cannot be found: its config names 5 layers, and GPT2LMHead"
    ):
        Patched(model, "strange")


def test_an_adapter_is_inspected_on_its_base(place, tmp_path):
    """An adapter that was never trained changes nothing: it is the baseline."""
    from peft import LoraConfig, get_peft_model

    base = AutoModelForCausalLM.from_pretrained(place / "baseline")
    get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"])).save_pretrained(
        tmp_path / "adapter"
    )
    (found,) = inspect_models(
        [str(tmp_path / "adapter")], baseline=str(place / "baseline"), twin=str(place / "twin"),
        metadata={"prompts": str(place / "prompts")},
    )  # fmt: skip
    assert found.recovered.value == pytest.approx(1, abs=1e-6)
