"""The formula: logits of a model that never read the unlearn target, approximately."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:  # a bare machine has no pydantic: `python -m benchmarks gpu`
    from unlearn.settings import Gauge, Offset


def generic_logits(baseline: Tensor, reinforced: Tensor, *, alpha: float, offset: Offset = "relu") -> Tensor:
    """Logits of a model that never read the unlearn target, approximately.

    Every logit that reinforcement raised is lowered by `alpha` times the rise; all others keep the baseline's value. With
    `offset="linear"`, the paper's first version, what reinforcement lowered is raised as well.

    Args:
        baseline: baseline model on the translated block, at the mapped positions, (N, V), gauge and rule 2 applied.
        reinforced: reinforced model on the source block, (N, V), same gauge.
        alpha: strength of the offset, >= 0; 0 returns `baseline`.
        offset: `relu` (the paper's) or `linear`.

    Returns:
        (N, V), in the wider of float32 and the inputs' type.

    Source: arXiv:2310.02238, equation (1), with ReLU.
    """
    return torch.add(at_least_float32(baseline), rise(baseline, reinforced, offset=offset), alpha=-alpha)


def rise(baseline: Tensor, reinforced: Tensor, *, offset: Offset = "relu") -> Tensor:
    """What reinforcement added to each logit, (N, V): ReLU(reinforced - baseline), or the plain difference."""
    difference = at_least_float32(reinforced) - at_least_float32(baseline)
    return difference.relu_() if offset == "relu" else difference


def gauged(logits: Tensor, gauge: Gauge) -> Tensor:
    """Logits without their free constant per position, if asked: raw logits are defined up to one, and reinforcement shifts it."""
    return torch.log_softmax(at_least_float32(logits), dim=-1) if gauge == "log_softmax" else at_least_float32(logits)


def at_least_float32(logits: Tensor) -> Tensor:
    """float32, unless the logits are float64 already."""
    return logits if logits.dtype in (torch.float32, torch.float64) else logits.float()
