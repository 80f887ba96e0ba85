"""Fine-tuning on the whole generic distribution instead of its argmax: cross-entropy against the largest generic logits."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from unlearn.settings import IGNORED
from unlearn.training.chunked_loss import ChunkedLossTrainer


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
