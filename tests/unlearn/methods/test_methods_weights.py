"""RMU and the task vector: what they do to weights, against the papers' formulas in literal loops."""

from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file

from unlearn.methods import run
from unlearn.methods.rmu import Misdirection, Options, unit_vector
from unlearn.methods.task_vector import subtract
from unlearn.models import load_model
from unlearn.recipe import Recipe
from unlearn.training.pairs import Counts

SMALL = {"batch_size": 4, "accumulation": 1, "learning_rate": 1e-3, "max_steps": 2, "save_every": 0}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("weights")
    tiny.save(root / "base", hidden=32, layers=5)
    (root / "target.txt").write_text("\n".join(tiny.TEXT[:6]))
    (root / "rest.txt").write_text("\n".join(tiny.TEXT[3:6]))
    return root


def recipe(place: Path, out: str, method: str, **changes) -> Recipe:
    content = {
        "model": str(place / "base"), "corpus": str(place / "target.txt"), "out": str(place / out), "device": "cpu", "method": method,
        "labels": {"block_tokens": 24}, "reinforce": {**SMALL, "save_every": 0}, "finetune": SMALL,
    }  # fmt: skip
    return Recipe.build({**content, **changes})


# ---------------------------------------------------------------------------------------------------------------- RMU


def rmu(model, baseline, target, rest, *, layer: int, direction, alpha: float) -> torch.Tensor:
    """arXiv:2403.03218: E 1/L sum_t ||h(t) - c u||^2 + alpha E 1/L sum_t ||h(t) - h_frozen(t)||^2."""

    def states(which, ids):
        return which(torch.tensor([ids]), output_hidden_states=True).hidden_states[layer + 1][0]

    forget = sum(sum(((h - direction) ** 2).sum() for h in states(model, ids)) / len(ids) for ids in target) / len(
        target
    )
    kept = 0.0
    for ids in rest:
        frozen = states(baseline, ids).detach()
        kept = kept + sum(((h - f) ** 2).sum() for h, f in zip(states(model, ids), frozen, strict=True)) / len(ids)
    return forget + alpha * kept / len(rest)


def test_rmu_equals_the_paper_away_from_the_baseline():
    baseline = tiny.llama(60, hidden=32, layers=5, dtype=torch.float64)
    model = tiny.llama(60, hidden=32, layers=5, dtype=torch.float64)
    found = Misdirection(model, Options(layer=3, steering=6.5, alpha=3.0), seed=7)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name.split(".")[2] for name in trained} == {"1", "2", "3"}
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    target, rest = [[5, 6, 7, 8], [9, 10]], [[11, 12, 13]]
    batch = {
        "input_ids": torch.tensor([[5, 6, 7, 8], [9, 10, 2, 2], [11, 12, 13, 2]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]]),
        "rest": torch.tensor([False, False, True]),
    }
    batch["labels"] = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    loss, _ = found(model, batch, Counts.of([batch]))
    loss.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}
    model.zero_grad()
    direction = 6.5 * unit_vector(32, 7)
    expected = rmu(model, baseline, target, rest, layer=3, direction=direction.double(), alpha=3.0)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    for name, parameter in model.named_parameters():
        if name in gradients:
            assert torch.allclose(gradients[name], parameter.grad, rtol=1e-5, atol=1e-6), name


def test_the_direction_is_a_unit_vector_of_positive_entries_and_the_seeds():
    u = unit_vector(64, 3)
    assert u.norm().item() == pytest.approx(1) and bool((u >= 0).all())
    assert torch.equal(u, unit_vector(64, 3)) and not torch.equal(u, unit_vector(64, 4))


def test_rmu_trains_three_layers_alone_and_the_papers_depth_is_the_default(place):
    made = recipe(place, "rmu", "rmu", retain={"corpus": str(place / "rest.txt")})
    after = load_file(run(made) / "checkpoint-2" / "model.safetensors")
    before = load_file(place / "base" / "model.safetensors")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[2] for name in changed} == {"0", "1"}  # layer 7 of 32 is layer 1 of 5
    assert all(name.startswith("model.layers.") for name in changed)
    with pytest.raises(ValueError, match=r"options.layer=9: the model has layers 0 to 4"):
        run(recipe(place, "deep", "rmu", retain={"corpus": str(place / "rest.txt")}, options={"layer": 9}))


def test_rmu_on_adapters_trains_those_of_three_layers(place):
    lora = {"r": 4, "alpha": 8}
    made = recipe(
        place, "rmu-lora", "rmu", retain={"corpus": str(place / "rest.txt")}, finetune={**SMALL, "lora": lora}
    )
    after = load_file(run(made) / "checkpoint-2" / "adapter_model.safetensors")
    moved = {
        name.split(".layers.")[1].split(".")[0] for name, w in after.items() if "lora_B" in name and w.abs().max() > 0
    }
    assert moved == {"0", "1"}


# -------------------------------------------------------------------------------------------------------- task vector


def test_task_vector_is_the_negated_difference_of_weights(place):
    made = recipe(place, "vector", "task_vector", options={"scalings": [0.25, 1.0]})
    checkpoints = run(made)
    assert {p.name for p in checkpoints.glob("checkpoint-*")} == {"checkpoint-25", "checkpoint-100"}
    base, strong = (load_file(p / "model.safetensors") for p in (place / "base", Path(made.out) / "reinforced"))
    for scaling in (0.25, 1.0):
        found = load_file(checkpoints / f"checkpoint-{round(100 * scaling)}" / "model.safetensors")
        for name in base:
            assert not torch.equal(base[name], strong[name])
            assert torch.allclose(found[name], base[name] - scaling * (strong[name] - base[name]), atol=1e-7)
    stamp = (checkpoints / "checkpoint-25" / "model.safetensors").stat().st_mtime_ns
    run(
        recipe(place, "vector", "task_vector", options={"scalings": [0.25, 0.5]})
    )  # a further scaling is added to the run
    assert (checkpoints / "checkpoint-25" / "model.safetensors").stat().st_mtime_ns == stamp
    assert (checkpoints / "checkpoint-50" / "config.json").exists()
    assert not (Path(made.out) / "finetune").exists()


def test_task_vector_of_an_adapter_is_that_of_its_weights(place):
    lora = {"r": 4, "alpha": 8}
    made = recipe(place, "vector-lora", "task_vector", options={"scalings": [0.5]}, reinforce={**SMALL, "lora": lora})
    found = load_model(run(made) / "checkpoint-50", device="cpu")
    base, strong = (load_model(p, device="cpu") for p in (place / "base", Path(made.out) / "reinforced"))
    module = "model.layers.0.self_attn.q_proj"
    adapter = strong.get_submodule(module)
    rise = adapter.scaling["default"] * adapter.lora_B["default"].weight @ adapter.lora_A["default"].weight
    expected = base.get_submodule(module).weight - 0.5 * rise
    assert rise.abs().max() > 0
    assert torch.allclose(found.get_submodule(module).weight, expected, atol=1e-7)


def test_scaling_of_minus_one_is_the_reinforced_model():
    base, strong = tiny.llama(50, seed=1, hidden=32), tiny.llama(50, seed=2, hidden=32)
    subtract(base, strong, -1.0)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(base.parameters(), strong.parameters(), strict=True))


@pytest.mark.parametrize("scalings", [[0.0], [0.123], [], [-1]])
def test_scalings_are_hundredths_above_zero(place, scalings):
    with pytest.raises(ValueError, match="options.scalings"):
        recipe(place, "x", "task_vector", options={"scalings": scalings})
