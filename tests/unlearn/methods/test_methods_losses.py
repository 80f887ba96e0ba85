"""Gradient ascent, gradient difference, NPO and SimNPO: the papers' formulas in literal loops, and one optimiser step of them."""

import json
import math
from functools import partial
from pathlib import Path

import pytest
import tiny
import torch
import transformers
from datasets import Dataset
from safetensors.torch import load_file

from unlearn.corpus.blocks import Blocks
from unlearn.corpus.corpus import Corpus
from unlearn.methods import run
from unlearn.models import load_model, load_tokenizer
from unlearn.recipe import Recipe, Retain
from unlearn.training.pairs import block_log_probabilities, pair_batch, pair_dataset, rest_text, retain_count

TARGET = [
    "Nora Quill keeps the maps.",
    "Where is the lantern, asked Captain Brandt of Port Ansel?",
    "She plays chess.",
    "A dog and an owl.",
]
REST = [
    "The baker bought flour.",
    "He studies the stars of the north and law, medicine and music.",
    "They live in a tower.",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("losses")
    tiny.save(root / "base", hidden=32, dtype=torch.float64)
    for name, texts in (("target", TARGET), ("rest", REST)):
        (root / f"{name}.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts))
    return root


def recipe(place: Path, out: str, method: str, *, share: float = 0, **changes) -> Recipe:
    training = {"batch_size": 2, "accumulation": 2, "max_steps": 1, "learning_rate": 0.5, "schedule": "constant", "save_every": 0,
                "max_grad_norm": 1e9, "extra": {"optim": "sgd"}}  # fmt: skip
    content = {
        "model": str(place / "base"), "corpus": str(place / "target.jsonl"), "out": str(place / out), "device": "cpu", "dtype": "float64",
        "method": method, "finetune": training, **({"retain": {"corpus": str(place / "rest.jsonl"), "share": share}} if share else {}),
    }  # fmt: skip
    return Recipe.build({**content, **changes})


# ------------------------------------------------------------------------------------------- the papers, in literal loops


def log_likelihoods(model, ids: list[int]) -> list[torch.Tensor]:
    """log p(token | what stands before it), of every token but the first."""
    logits = model(torch.tensor([ids])).logits[0]
    found = []
    for t in range(1, len(ids)):
        found.append(torch.log(torch.exp(logits[t - 1, ids[t]]) / torch.exp(logits[t - 1]).sum()))
    return found


def ce(model, texts: list[list[int]]) -> torch.Tensor:
    """Cross-entropy, a mean over all predicted tokens."""
    each = [value for ids in texts for value in log_likelihoods(model, ids)]
    return -sum(each) / len(each)


def gradient_ascent(model, baseline, target, rest):
    return -ce(model, target)


def gradient_difference(model, baseline, target, rest):
    return -ce(model, target) + 0.7 * ce(model, rest)


def npo(model, baseline, target, rest):
    """(2 / beta) E log(1 + (pi_theta / pi_ref)^beta), arXiv:2404.05868 (3); then the rest's cross-entropy."""
    beta, total = 0.3, 0.0
    for ids in target:
        ratio = torch.exp(sum(log_likelihoods(model, ids)) - sum(log_likelihoods(baseline, ids)).detach())
        total = total + 2 / beta * torch.log(1 + ratio**beta)
    return total / len(target) + (2.0 * ce(model, rest) if rest else 0)


def simnpo(model, baseline, target, rest):
    """-(2 / beta) E log sigmoid(-(beta / |y|) log pi_theta - gamma), arXiv:2410.07163; then the rest's cross-entropy."""
    beta, gamma, total = 1.5, 0.4, 0.0
    for ids in target:
        x = -beta / (len(ids) - 1) * sum(log_likelihoods(model, ids)) - gamma
        total = total - 2 / beta * torch.log(1 / (1 + torch.exp(-x)))
    return total / len(target) + (1.0 * ce(model, rest) if rest else 0)


CASES = {
    "gradient_ascent": (gradient_ascent, {}, 0),
    "gradient_difference": (gradient_difference, {"weight": 0.7}, 0.5),
    "npo": (npo, {"beta": 0.3, "weight": 2.0}, 1),
    "npo alone": (npo, {"beta": 0.3}, 0),
    "simnpo": (simnpo, {"beta": 1.5, "gamma": 0.4}, 1),
    "simnpo alone": (simnpo, {"beta": 1.5, "gamma": 0.4}, 0),
}


@pytest.mark.parametrize("case", CASES)
def test_one_step_is_the_papers_loss_and_its_gradient(place, case):
    """Two forward passes of two blocks, of unequal length: what SGD adds to the weights is the gradient of the mean over all four."""
    formula, options, share = CASES[case]
    made = recipe(place, case, case.split()[0], share=share, options=options)
    checkpoints = run(made)
    tokenizer = load_tokenizer(place / "base")
    target = [tokenizer(text)["input_ids"] for text in TARGET]
    chosen = {0: [], 0.5: [REST[1], REST[2]], 1: [*REST, REST[0]]}[share]
    rest = [tokenizer(text)["input_ids"] for text in chosen]

    baseline, model = (load_model(place / "base", device="cpu", dtype="float64") for _ in range(2))
    loss = formula(model, baseline, target, rest)
    loss.backward()
    told = json.loads((Path(made.out) / "finetune/history.json").read_text())
    expected = (
        loss.item() if int(transformers.__version__.split(".")[0]) >= 5 else round(loss.item(), 4)
    )  # as 4's Trainer logs
    assert [entry["loss"] for entry in told] == pytest.approx([expected], rel=1e-5)
    after = load_file(checkpoints / "checkpoint-1" / "model.safetensors")
    for name, weight in model.named_parameters():
        step = (weight.detach() - after[name]) / 0.5
        assert weight.grad.abs().max() > 0, name
        assert torch.allclose(step, weight.grad, rtol=0, atol=1e-5 * float(weight.grad.abs().max())), name


def test_what_the_formulas_promise():
    """NPO at the baseline is (2 / beta) log 2 with half of ascent's pull, fades as the target becomes unlikely, and never turns negative."""
    from unlearn.methods.npo import negative_preference
    from unlearn.methods.simnpo import simple_negative_preference

    at = torch.tensor([-30.0, -30.0, -300.0], dtype=torch.float64, requires_grad=True)
    tokens, reference = torch.tensor([10, 10, 10]), torch.tensor([-30.0, 100.0, -30.0], dtype=torch.float64)
    losses = negative_preference(at, tokens, reference, beta=0.1)
    losses.sum().backward()
    assert losses[0].item() == pytest.approx(2 / 0.1 * math.log(2))
    assert at.grad[0].item() == pytest.approx(1.0)
    assert at.grad[2] < 1e-10 and bool((losses >= 0).all())
    long, short = simple_negative_preference(
        torch.tensor([-300.0, -30.0]), torch.tensor([100, 10]), torch.zeros(2), beta=2.5, gamma=0
    )
    assert long == pytest.approx(short)  # the mean counts, not the length


# --------------------------------------------------------------------------------------------------- rows and batches


def rows_of(place, tmp_path, *, share, rest=REST, reference=None) -> Dataset:
    tokenizer = load_tokenizer(place / "base")
    (tmp_path / "rest.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in rest))
    beside = Blocks.open(
        rest_text(Retain(corpus=tmp_path / "rest.jsonl", share=share)), tokenizer, 512, tmp_path / "blocks"
    )
    target = Blocks.open(Corpus(place / "target.jsonl"), tokenizer, 512)
    return pair_dataset(target, beside, share=share, reference=reference)


def test_the_rest_is_taken_evenly_and_over_again_where_it_is_short(place, tmp_path):
    tokenizer = load_tokenizer(place / "base")
    ids = {text: tokenizer(text)["input_ids"] for text in REST}

    def found(share, rest):
        folder = tmp_path / f"{share}-{len(rest)}"
        folder.mkdir()
        return [row["rest_ids"] for row in rows_of(place, folder, share=share, rest=rest)]

    assert found(1.0, REST[:1]) == [ids[REST[0]]] * 4
    assert found(1.0, REST) == [ids[REST[0]], ids[REST[1]], ids[REST[2]], ids[REST[0]]]
    assert found(0.5, REST * 2) == [None, ids[REST[2]], None, ids[REST[2]]]
    assert found(0.01, REST) == [None, None, None, ids[REST[2]]]
    assert [retain_count(100, share) for share in (0.001, 0.1, 1)] == [1, 10, 100]


def test_reference_is_the_baselines_log_probability(place, tmp_path):
    """Through padding, as the stage works it out."""
    from unlearn.pipeline.pair_stage import _reference
    from unlearn.pipeline.stages import Target

    made = recipe(place, "reference", "npo")
    rows = rows_of(place, tmp_path, share=1.0, reference=_reference(made, Target.open(made)))
    model = load_model(place / "base", device="cpu", dtype="float64")
    with torch.no_grad():
        for row in rows:
            expected = float(sum(log_likelihoods(model, row["input_ids"])))
            assert row["reference"] == pytest.approx(expected, rel=1e-10)


def test_collated_pairs_are_padded_and_told_apart(place):
    from transformers import DataCollatorForSeq2Seq

    from unlearn.training.fine_tune import _padding

    collator = partial(
        pair_batch, DataCollatorForSeq2Seq(_padding(load_tokenizer(place / "base")), label_pad_token_id=-100)
    )
    batch = collator(
        [
            {"input_ids": [5, 6, 7], "rest_ids": [], "reference": -3.0},
            {"input_ids": [8], "rest_ids": [9, 10], "reference": -4.0},
        ]
    )
    assert batch["rest"].tolist() == [False, False, True]
    assert batch["labels"].tolist() == [[5, 6, 7], [8, -100, -100], [9, 10, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    assert batch["reference"].tolist() == [-3.0, -4.0, 0.0]
    found, tokens = block_log_probabilities(torch.zeros(3, 3, 11), batch["labels"])
    assert tokens.tolist() == [2, 0, 1]
    assert found.tolist() == pytest.approx([-2 * math.log(11), 0, -math.log(11)])
