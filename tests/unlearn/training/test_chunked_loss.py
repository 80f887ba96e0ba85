"""The loss in chunks equals the loss over whole logits; models it does not fit keep their own."""

import pytest
import tiny
import torch
from datasets import Dataset
from torch import nn
from transformers import (
    DataCollatorForSeq2Seq,
    Gemma2Config,
    Gemma2ForCausalLM,
    GemmaConfig,
    GemmaForCausalLM,
    Trainer,
    TrainingArguments,
)

from unlearn.training import chunked_loss
from unlearn.training.chunked_loss import (
    ChunkedLossTrainer,
    SoftLabelTrainer,
    chunked_cross_entropy,
    soft_cross_entropy,
)

SHAPE = {
    "vocab_size": 300, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 1,
    "num_key_value_heads": 1, "head_dim": 32,
}  # fmt: skip


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("chunk_bytes", [1, 4 * 50 * 3, 1 << 20])
def test_loss_and_gradients_equal_those_over_whole_logits(bias, chunk_bytes, monkeypatch):
    monkeypatch.setattr(chunked_loss, "_CHUNK_BYTES", chunk_bytes)
    torch.manual_seed(0)
    hidden = torch.randn(7, 8, dtype=torch.float64, requires_grad=True)
    head = nn.Linear(8, 50, bias=bias).double()
    ids = torch.stack([torch.randperm(50)[:3] for _ in range(7)])
    top_logits = torch.randn(7, 3)
    target = torch.softmax(top_logits, dim=-1)
    whole = soft_cross_entropy(head(hidden), ids, top_logits).sum() / 5
    inputs = [hidden, *head.parameters()]
    expected = torch.autograd.grad(whole, inputs)
    chunked = chunked_cross_entropy(hidden, head, ids, target) / 5
    found = torch.autograd.grad(chunked, inputs)
    assert chunked.item() == pytest.approx(whole.item(), rel=1e-6)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_a_frozen_head_gets_no_gradient_and_no_gradient_mode_takes_none():
    hidden, head = torch.randn(4, 8, requires_grad=True), nn.Linear(8, 20, bias=False).requires_grad_(False)
    ids, target = torch.zeros(4, 1, dtype=torch.long), torch.ones(4, 1)
    chunked_cross_entropy(hidden, head, ids, target).backward()
    assert head.weight.grad is None and hidden.grad.abs().sum() > 0
    with torch.no_grad():
        assert not chunked_cross_entropy(hidden, head, ids, target).requires_grad
    expected = nn.functional.cross_entropy(head(hidden), ids[:, 0], reduction="sum")
    assert chunked_cross_entropy(hidden, head, ids, target).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.fixture(autouse=True)
def one_position_a_chunk(monkeypatch):
    """Batches as small as a test's would otherwise keep Trainer's own loss."""
    monkeypatch.setattr(chunked_loss, "_CHUNK_BYTES", 4 * 300)


def batch() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    ids = torch.randint(5, 300, (3, 12))
    labels = ids.clone()
    labels[:, :2] = labels[1, 6:] = -100
    mask = torch.ones_like(ids)
    mask[1, 8:] = 0
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def trainer(kind, model, tmp_path, **options):
    arguments = TrainingArguments(
        output_dir=str(tmp_path), use_cpu=True, report_to="none", **options.pop("arguments", {})
    )
    return kind(model=model, args=arguments, **options)


@pytest.mark.parametrize("count", [None, 11])
def test_plain_trainer_says_the_same_and_the_head_is_never_asked_for_everything(tmp_path, count):
    torch.manual_seed(0)
    model = GemmaForCausalLM(GemmaConfig(**SHAPE))
    ours, plain = trainer(ChunkedLossTrainer, model, tmp_path), trainer(Trainer, model, tmp_path)
    gradients = []
    for one in (ours, plain):
        model.zero_grad()
        loss = one.compute_loss(model, batch(), num_items_in_batch=count)
        loss.backward()
        gradients.append((loss.item(), {name: p.grad.clone() for name, p in model.named_parameters()}))
    assert gradients[0][0] == pytest.approx(gradients[1][0], rel=1e-6)
    for name, gradient in gradients[1][1].items():
        assert torch.allclose(gradients[0][1][name], gradient, rtol=1e-4, atol=1e-6), name
    asked = []
    model.lm_head.register_forward_hook(lambda *_: asked.append(1))
    ours.compute_loss(model, batch(), num_items_in_batch=count)
    assert not asked
    plain.compute_loss(model, batch(), num_items_in_batch=count)
    assert asked


@pytest.mark.parametrize("reason", ["soft-capped logits", "label smoothing", "mixed precision"])
def test_what_the_chunks_do_not_fit_keeps_its_own_loss(tmp_path, reason):
    torch.manual_seed(0)
    capped = reason == "soft-capped logits"
    model = (
        Gemma2ForCausalLM(Gemma2Config(**SHAPE, final_logit_softcapping=0.5, initializer_range=0.5))
        if capped
        else GemmaForCausalLM(GemmaConfig(**SHAPE))
    )
    arguments = {"label smoothing": {"label_smoothing_factor": 0.1}, "mixed precision": {"bf16": True}}.get(reason, {})
    asked = []
    model.lm_head.register_forward_hook(lambda *_: asked.append(1))
    losses = []
    for kind in (ChunkedLossTrainer, Trainer):
        asked.clear()
        one = trainer(kind, model, tmp_path, arguments=arguments)
        losses.append(one.compute_loss(model, batch(), num_items_in_batch=torch.tensor(20)).item())
        assert asked
    assert losses[0] == losses[1]


@pytest.mark.parametrize("capped", [False, True])
def test_soft_labels_in_chunks_and_whole(tmp_path, capped):
    torch.manual_seed(0)
    model = (
        Gemma2ForCausalLM(Gemma2Config(**SHAPE, final_logit_softcapping=0.5, initializer_range=0.5))
        if capped
        else GemmaForCausalLM(GemmaConfig(**SHAPE))
    )
    made = batch()
    made["top_ids"] = torch.stack([torch.randperm(300)[:4] for _ in range(36)]).view(3, 12, 4)
    made["top_logits"] = torch.randn(3, 12, 4)
    one = trainer(SoftLabelTrainer, model, tmp_path, temperature=0.7)
    found = one.compute_loss(model, made, num_items_in_batch=9)
    labelled = made["labels"][:, 1:] != -100
    logits = model(input_ids=made["input_ids"], attention_mask=made["attention_mask"]).logits[:, :-1]
    expected = soft_cross_entropy(
        logits[labelled], made["top_ids"][:, 1:][labelled], made["top_logits"][:, 1:][labelled], temperature=0.7
    )
    assert found.item() == pytest.approx((expected.sum() / 9).item(), rel=1e-5)


def test_held_out_loss_is_plain_trainers(tmp_path):
    torch.manual_seed(0)
    tokenizer = tiny.tokenizer("metaspace_bpe")
    model = tiny.llama(len(tokenizer))
    rows = [{"input_ids": list(range(5, 5 + n)), "labels": [-100, *range(6, 5 + n)]} for n in (5, 9, 7)]
    losses = [
        trainer(
            kind, model, tmp_path, eval_dataset=Dataset.from_list(rows),
            data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-100),
        ).evaluate()["eval_loss"]
        for kind in (ChunkedLossTrainer, Trainer)
    ]  # fmt: skip
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
