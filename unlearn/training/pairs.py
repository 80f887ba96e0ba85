"""Training of the methods that need no labels: on blocks of the target, and beside them, for a share of them, blocks of the rest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import pyarrow as pa
import torch
from datasets import Dataset
from torch import Tensor
from torch.nn.functional import cross_entropy

from unlearn.corpus.blocks import Blocks
from unlearn.corpus.corpus import Corpus
from unlearn.labels.formula import at_least_float32
from unlearn.settings import IGNORED, Retain
from unlearn.training.chunked_loss import LossTrainer


def rest_text(retain: Retain) -> Corpus:
    """The text of the rest. Raises ValueError: there is none."""
    try:
        return Corpus(retain.corpus, split=retain.split, column=retain.text_column, key="retain.corpus")
    except ValueError as error:  # perhaps the recipe's own, of which the user has not heard
        raise ValueError(f"{error}; it is text of the rest: retain.corpus=FILE names yours") from None


def retain_count(target_blocks: int, share: float) -> int:
    """How many blocks of the rest stand beside so many of the target; at least one."""
    return max(1, round(target_blocks * share))


def pair_dataset(
    target: Blocks, rest: Blocks | None, *, share: float = 1.0, reference: Sequence[float] | None = None
) -> Dataset:
    """Rows `input_ids` (a block of the target), `rest_ids` (a block of the rest, or None) and `reference`.

    The target's blocks stay on disk. `share`: blocks of the rest for every block of the target. `reference`: the baseline's log-probability
    of each block, in nats; by default 0.
    """
    number = len(target)
    rest_ids: Any = pa.nulls(number, pa.list_(pa.int32()))
    if rest:
        wanted = retain_count(number, share)
        taken = [
            n * wanted // number if (n + 1) * wanted // number > n * wanted // number else None for n in range(number)
        ]
        spread = rest.spread(wanted, "rest").for_training().with_format("arrow")[:]
        rest_ids = spread["input_ids"].take(pa.array(taken, pa.int64()))
    ids, scores = target.for_training().data.table["input_ids"], pa.array(reference or [0.0] * number)
    return Dataset(pa.table({"input_ids": ids, "rest_ids": rest_ids, "reference": scores}))


def pair_batch(collator: Any, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Rows of pairs -> one batch, padded on the right by a collator: the B blocks of the target first, then the R of the rest.

    Of it `input_ids`, `attention_mask` and `labels` are (B + R, T), `rest` and `reference` (B + R,).
    """
    targets = [row["input_ids"] for row in rows]
    rest = [row["rest_ids"] for row in rows if row["rest_ids"]]
    batch = dict(collator([{"input_ids": ids, "labels": ids} for ids in chain(targets, rest)]))
    batch["rest"] = torch.tensor([False] * len(targets) + [True] * len(rest))
    batch["reference"] = torch.tensor([row["reference"] for row in rows] + [0.0] * len(rest))
    return batch


@dataclass(frozen=True)
class Counts:
    """What the losses of an optimiser step are divided by: over all its forward passes and all devices; each at least 1.

    Blocks of the target and their predicted tokens, then those of the rest.
    """

    blocks: Tensor
    tokens: Tensor
    rest_blocks: Tensor
    rest_tokens: Tensor

    @classmethod
    def of(cls, batches: Sequence[Mapping[str, Tensor]], gather: Callable[[Tensor], Tensor] = lambda x: x) -> "Counts":
        """Counts batches; `gather` adds up over devices."""
        total = torch.zeros(4, dtype=torch.long)
        for batch in batches:
            tokens, rest = (batch["labels"][:, 1:] != IGNORED).sum(-1).cpu(), batch["rest"].cpu()
            total += torch.stack([(~rest).sum(), tokens[~rest].sum(), rest.sum(), tokens[rest].sum()])
        return cls(*gather(total).clamp(min=1).unbind())


#: (model, batch of `pair_batch`, counts) -> (this forward pass' share of the step's loss, the model's output).
PairLoss = Callable[[Any, dict[str, Tensor], Counts], tuple[Tensor, Any]]

#: (log-probability of each block in nats, tokens predicted in it, its log-probability by the baseline), (B,) each -> (B,).
TargetLoss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class LikelihoodLoss:
    """A loss of the target's likelihood, plus `weight` times the cross-entropy of the rest, in nats a token.

    `target`: loss of each block of the target, from its log-probability; `per`: what these are averaged over.
    """

    target: TargetLoss
    per: Literal["token", "block"]
    weight: float = 0.0

    def __call__(self, model: Any, batch: dict[str, Tensor], counts: Counts) -> tuple[Tensor, Any]:
        """The loss of one forward pass over both."""
        labels, rest, reference = (batch[name] for name in ("labels", "rest", "reference"))
        outputs = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False)
        log_probability, tokens = block_log_probabilities(outputs.logits, labels)
        target = self.target(log_probability[~rest], tokens[~rest], reference[~rest].to(log_probability.dtype))
        loss = target.sum() / (counts.tokens if self.per == "token" else counts.blocks)
        if self.weight:
            loss = loss - self.weight * log_probability[rest].sum() / counts.rest_tokens
        return loss, outputs


def block_log_probabilities(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Each block's log-probability, in nats, and how many of its tokens are predicted; (B,) both.

    Args:
        logits: (B, T, V).
        labels: its tokens, -100 where padded, (B, T); the token at t is predicted at t - 1.
    """
    shifted, before = labels[:, 1:], at_least_float32(logits[:, :-1])
    losses = cross_entropy(before.flatten(0, 1), shifted.flatten(), reduction="none", ignore_index=IGNORED)
    return -losses.view(shifted.shape).sum(-1), (shifted != IGNORED).sum(-1)


class PairTrainer(LossTrainer):
    """Trainer of a `PairLoss`: of one forward pass, divided by the counts of the whole optimiser step."""

    def __init__(self, *, pair_loss: PairLoss, **options: Any) -> None:
        super().__init__(**options)
        self._pair_loss = pair_loss
        self._counts: Counts | None = None
        self.model_accepts_loss_kwargs = True  # so that Trainer does not divide by the forward passes of a step

    def get_batch_samples(self, *arguments: Any, **options: Any) -> Any:
        """The batches of an optimiser step; they are counted on the way."""
        batches, items = super().get_batch_samples(*arguments, **options)
        self._counts = Counts.of(batches, self._gather) if batches else None
        return batches, items

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None, **_: Any
    ) -> Any:
        """The loss of one forward pass, scaled as Trainer scales its own."""
        in_step = num_items_in_batch is not None and self._counts is not None
        loss, outputs = self._pair_loss(model, dict(inputs), self._counts if in_step else Counts.of([inputs]))  # type: ignore[arg-type]
        if in_step and self.args.average_tokens_across_devices:
            loss = loss * self.accelerator.num_processes  # gradients are averaged over devices, the counts added up
        return (loss, outputs) if return_outputs else loss

    def _gather(self, counts: Tensor) -> Tensor:
        if self.args.world_size == 1 or not self.args.average_tokens_across_devices:
            return counts
        gathered: Tensor = self.accelerator.gather(counts.to(self.args.device)[None])
        return gathered.sum(0).cpu()
