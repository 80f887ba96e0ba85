"""Cross-entropy of a causal language model a chunk of labelled positions at a time: the (B, T, V) logits never exist.

Against hard labels, or against the whole generic distribution instead of its argmax (soft labels). Each chunk's gradient is taken as soon
as its logits are there, so nothing is computed twice. For a model on one device, whose logits are plainly its head's output; for all others
Trainer's own loss stays.
"""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import Trainer
from transformers.loss.loss_utils import ForCausalLMLoss

from unlearn.cpu import product
from unlearn.settings import IGNORED

#: Bytes of one chunk of logits in float32. On the CPU smaller chunks are slower: each reads and writes the head's whole gradient.
_CHUNK_BYTES = 1 << 27
_KNOWN = {"input_ids", "attention_mask", "labels", "top_ids", "top_logits"}


def chunked_cross_entropy(hidden: Tensor, head: nn.Linear, ids: Tensor, target: Tensor) -> Tensor:
    """Sum over positions of the cross-entropy between a head's softmax and a sparse target, in nats.

    Args:
        hidden: last hidden states at the labelled positions, (N, H).
        head: output layer, (V, H) and an optional bias; a frozen one gets no gradient.
        ids: token ids that the target gives probability to, no id twice in a row, (N, k).
        target: their probabilities, each row summing to 1, (N, k); one column of ones for hard labels.

    Returns:
        Scalar, float32 (float64 for float64 models); differentiable once.
    """
    rows = max(1, _CHUNK_BYTES // (4 * head.weight.shape[0]))
    total: Tensor = _Chunked.apply(hidden, head.weight, head.bias, ids, target, rows, torch.is_grad_enabled())
    return total


class _Chunked(torch.autograd.Function):
    """Forward takes the gradients too; backward only scales them."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, ids: Tensor, target: Tensor, rows: int, train: bool
    ) -> Tensor:  # fmt: skip
        wide = torch.promote_types(hidden.dtype, torch.float32)
        needs = [train and needed for needed in ctx.needs_input_grad[:3]]
        gradients = [torch.zeros_like(x) if n and x is not None else None
                     for x, n in zip((hidden, weight, bias), needs, strict=True)]  # fmt: skip
        of_hidden, of_weight, of_bias = gradients
        total = torch.zeros((), dtype=wide, device=hidden.device)
        for begin in range(0, len(hidden), rows):
            part = slice(begin, begin + rows)
            logits = product(hidden[part], weight, bias).to(wide)
            normaliser = logits.logsumexp(dim=-1, keepdim=True)
            wanted = target[part].to(wide)
            total += (normaliser - logits.gather(-1, ids[part])).mul_(wanted).sum()
            if any(needs):
                error = logits.sub_(normaliser).exp_().scatter_add_(-1, ids[part], -wanted).to(hidden.dtype)
                if of_hidden is not None:
                    of_hidden[part] = product(error, weight.t())
                if of_weight is not None:
                    of_weight.addmm_(error.t(), hidden[part])
                if of_bias is not None:
                    of_bias += error.sum(dim=0)
                del error
            del logits
        ctx.gradients = gradients
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        gradients, ctx.gradients = ctx.gradients, None
        return (*(None if g is None else g.mul_(gradient.to(g.dtype)) for g in gradients), None, None, None, None)


class LossTrainer(Trainer):
    """A Trainer whose held-out loss is the loss it trains on, and nothing else; no predictions are kept."""

    def prediction_step(self, model: Any, inputs: dict[str, Any], *_: Any, **__: Any) -> Any:
        """The loss alone."""
        with torch.no_grad():
            loss: Any = self.compute_loss(model, self._prepare_inputs(inputs))
        return loss.detach(), None, None


class ChunkedLossTrainer(LossTrainer):
    """A `transformers.Trainer` that takes the same loss in chunks where it can; elsewhere it is that Trainer."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None, **options: Any
    ) -> Any:  # fmt: skip
        """The loss of one forward pass, scaled as Trainer scales its own; that of a step without a label is 0."""
        if num_items_in_batch is not None:
            num_items_in_batch = torch.as_tensor(num_items_in_batch).clamp(min=1)
        parts = self._parts
        if parts is None or return_outputs or not set(inputs) <= _KNOWN:
            return self._whole_loss(model, inputs, return_outputs, num_items_in_batch, **options)
        if 4 * inputs["labels"].numel() * parts[1].weight.shape[0] <= _CHUNK_BYTES:  # there is nothing to save
            return self._whole_loss(model, inputs, return_outputs, num_items_in_batch, **options)
        rest = {name: inputs[name] for name in ("input_ids", "attention_mask") if name in inputs}
        labelled = inputs["labels"][:, 1:] != IGNORED  # position t - 1 predicts the token at t
        states = parts[0](**rest, use_cache=False).last_hidden_state[:, :-1]
        ids, target = self._target(inputs, labelled)
        total = chunked_cross_entropy(states[labelled], parts[1], ids, target)
        return total / (max(int(labelled.sum()), 1) if num_items_in_batch is None else num_items_in_batch)

    def _whole_loss(self, *arguments: Any, **options: Any) -> Any:
        return super().compute_loss(*arguments, **options)

    def _target(self, inputs: dict[str, Any], labelled: Tensor) -> tuple[Tensor, Tensor]:
        """Ids and probabilities of the labelled positions' targets, (N, k) each."""
        ids = inputs["labels"][:, 1:][labelled][:, None]
        return ids, torch.ones(ids.shape, device=ids.device)

    @cached_property
    def _parts(self) -> tuple[Any, nn.Linear] | None:
        return _backbone_and_head(self.model) if self._alone() else None

    def _alone(self) -> bool:
        """Nothing stands between Trainer and the model: no other process, no sharding, no mixed precision, no other loss."""
        options = self.args
        one = self.model_wrapped is self.model and self.accelerator.num_processes == 1 and options.n_gpu <= 1
        other = options.label_smoothing_factor or options.use_liger_kernel or options.torch_compile
        plain = self.accelerator.mixed_precision == "no" and self.compute_loss_func is None and not other
        return one and plain and self.model_accepts_loss_kwargs


@torch.no_grad()
def _backbone_and_head(model: Any) -> tuple[Any, nn.Linear] | None:
    """The two parts of a model whose loss is the plain one over what its head says of its last hidden state; None for another."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    backbone, head = getattr(inner, inner.base_model_prefix or "", None), inner.get_output_embeddings()
    if backbone is None or type(head) is not nn.Linear or getattr(inner, "loss_function", None) is not ForCausalLMLoss:
        return None
    if getattr(inner.config, "output_router_logits", False) or hasattr(inner, "hf_device_map"):
        return None
    ids, training = torch.arange(3, 11, device=head.weight.device)[None], inner.training
    inner.eval()
    states = getattr(backbone(input_ids=ids, use_cache=False), "last_hidden_state", None)
    same = states is not None and torch.allclose(head(states), inner(input_ids=ids, use_cache=False).logits, 1e-3, 1e-3)
    inner.train(training)
    return (backbone, head) if same else None


def soft_cross_entropy(logits: Tensor, top_ids: Tensor, top_logits: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Cross-entropy of each position against its soft label, in nats.

    The target is the softmax of the stored generic logits divided by the temperature; what the k largest leave out counts as zero. It
    differs from the divergence to that target by the target's own entropy, so both have the same gradient.

    Args:
        logits: of the model being trained, at the positions that have a label, (N, V).
        top_ids: token ids of the k largest generic logits, (N, k).
        top_logits: those logits, (N, k).
        temperature: > 0; small: nearer the hard label.

    Returns:
        (N,), float32.
    """
    target = torch.softmax(top_logits.float() / temperature, dim=-1)
    logits = logits.float()
    return torch.logsumexp(logits, dim=-1) - (target * logits.gather(-1, top_ids)).sum(dim=-1)


class SoftLabelTrainer(ChunkedLossTrainer):
    """Trainer whose loss is `soft_cross_entropy` at a temperature, averaged over the labelled tokens of the whole optimiser step."""

    def __init__(self, *, temperature: float, **options: Any) -> None:
        super().__init__(**options)
        self._temperature = temperature
        self.model_accepts_loss_kwargs = True  # so that Trainer counts the tokens of the step for us

    def _target(self, inputs: dict[str, Any], labelled: Tensor) -> tuple[Tensor, Tensor]:
        top_ids, top_logits = (inputs[name][:, 1:][labelled] for name in ("top_ids", "top_logits"))
        return top_ids, torch.softmax(top_logits.float() / self._temperature, dim=-1)

    def _whole_loss(self, model: Any, inputs: Any, return_outputs: bool, num_items_in_batch: Any, **_: Any) -> Any:
        inputs = dict(inputs)
        labels, top_ids, top_logits = (inputs.pop(name) for name in ("labels", "top_ids", "top_logits"))
        outputs = model(**inputs, use_cache=False)
        labelled = labels[:, 1:] != IGNORED  # position t - 1 predicts the token at t
        losses = soft_cross_entropy(
            outputs.logits[:, :-1][labelled], top_ids[:, 1:][labelled], top_logits[:, 1:][labelled], temperature=self._temperature
        )  # fmt: skip
        if num_items_in_batch is None:
            loss = losses.mean() if losses.numel() else outputs.logits.sum() * 0
        else:
            loss = losses.sum() / num_items_in_batch
            if self.args.average_tokens_across_devices:
                loss = loss * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss


def soft_label_batch(collator: Any, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
    """A batch, padded on the right: what a collator pads, `input_ids` and `labels`, (B, T), and the soft labels, (B, T, k)."""
    batch = dict(collator([{name: row[name] for name in ("input_ids", "labels")} for row in rows]))
    soft = {n: pad_sequence([torch.tensor(r[n]) for r in rows], batch_first=True) for n in ("top_ids", "top_logits")}
    return {**batch, **soft, "top_ids": soft["top_ids"].clamp(min=0)}
