"""Rounds a model's weights to few bits, as its users will who have less memory: does what was unlearned come back?

Unlearning at a small learning rate moves weights by less than half a step of the grid, and rounding then undoes it.

Source: arXiv:2410.16454. Rounding to nearest, on weights alone; nothing is calibrated, so that nothing else enters.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

#: Weights that share a scale below 8 bits, as in torchao's and most others' 4-bit formats.
GROUP = 128


@dataclass(frozen=True)
class Rounding:
    """A grid of 2 ** bits points.

    Attributes:
        bits: of a weight, 2 to 8.
        group: consecutive weights of an output channel that share a grid; 0: the whole channel.
        symmetric: whether the grid is centred at 0 and ends at the largest magnitude; otherwise it goes from smallest to largest weight.
    """

    bits: int
    group: int
    symmetric: bool

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 8:
            raise ValueError(f"weights are rounded to 2 to 8 bits, not {self.bits}")
        if self.group < 0:
            raise ValueError(f"a group has 1 weight or more, or 0 for a whole output channel, not {self.group}")

    @property
    def name(self) -> str:
        """For tables and file names."""
        return f"{self.bits}-bit"


def usual_rounding(bits: int) -> Rounding:
    """What is usual for so many bits.

    8: symmetric, one scale for an output channel (bitsandbytes' LLM.int8() without its outliers, torchao's int8 weight-only). Fewer:
    smallest to largest weight of a group of 128 (torchao's int4 weight-only).

    Raises ValueError: bits are not 2 to 8.
    """
    return Rounding(bits, 0, True) if bits >= 8 else Rounding(bits, GROUP, False)


def rounded(weight: Tensor, rounding: Rounding) -> Tensor:
    """The nearest points of the grid, float32, to weights, (output channels, inputs). The last group of a channel may be shorter."""
    whole = weight.detach().float()
    return torch.cat([_on_grid(part, rounding) for part in whole.split(rounding.group or whole.shape[1], dim=1)], dim=1)


def _on_grid(group: Tensor, rounding: Rounding) -> Tensor:
    if rounding.symmetric:
        most = 2 ** (rounding.bits - 1) - 1
        scale = _nonzero(group.abs().amax(1, keepdim=True) / most)
        return (group / scale).round().clamp(-most, most) * scale
    low, high = group.amin(1, keepdim=True), group.amax(1, keepdim=True)
    most = 2**rounding.bits - 1
    scale = _nonzero((high - low) / most)
    return ((group - low) / scale).round().clamp(0, most) * scale + low


def _nonzero(scale: Tensor) -> Tensor:
    """Where all weights of a group are equal there is nothing to round, and any scale will do."""
    return scale.where(scale > 0, torch.ones_like(scale))


@torch.no_grad()
def round_weights(model: Any, rounding: Rounding) -> float:
    """Rounds every linear layer but the output head, in place; embeddings, norms and biases stay.

    The weights keep their type and shape, and hold the grid's values: what weight-only quantisation computes with. Returns the share of the
    model's weights that were rounded, 0 to 1. Raises ValueError: it is quantised already, or has no linear layer.
    """
    if getattr(model.config, "quantization_config", None) is not None:
        raise ValueError(
            "this model is quantised already; rounding is a test for the weights that it was quantised from"
        )
    head, count = model.get_output_embeddings(), 0
    for layer in model.modules():
        if not isinstance(layer, nn.Linear | Conv1D) or layer is head:
            continue
        weight: Any = layer.weight
        channels = weight.T if isinstance(layer, Conv1D) else weight  # GPT-2's layers hold their inputs first
        fresh = rounded(channels, rounding)
        weight.copy_(fresh.T if isinstance(layer, Conv1D) else fresh)
        count += weight.numel()
    if not count:
        raise ValueError("this model has no linear layer that could be rounded")
    return count / sum(parameter.numel() for parameter in model.parameters())
