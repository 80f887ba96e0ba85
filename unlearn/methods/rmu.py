"""RMU, representation misdirection: on the target one layer's output is pushed to a random direction, on the rest it is kept.

    L(theta) = mean over the target's blocks of the mean over tokens t of || h_theta(t) - c u ||^2
               + alpha * mean over the rest's blocks of the mean over tokens t of || h_theta(t) - h_baseline(t) ||^2

h: the output of layer l; u: a unit vector drawn once, its entries uniform in [0, 1) before it is scaled; c: the steering coefficient. Only
layers l-2, l-1 and l are trained. h_baseline comes from a copy of their baseline weights, put in for a second pass over the rest.

Source: arXiv:2403.03218, section 4.2 (the forget loss, the retain loss and their sum).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call

from unlearn.labels.formula import at_least_float32
from unlearn.pipeline.pair_stage import finetune_on_pairs
from unlearn.recipe import Section
from unlearn.training.pairs import Counts

#: Zephyr-7B's layer in the paper, of its 32; other models take the same depth.
_LAYER, _OF = 7, 32

#: Layers trained: this one and the two below it.
_TRAINED = 3


class Options(Section):
    """The method's own. The defaults are the paper's for Zephyr-7B; hidden states of other models are of other sizes.

    Attributes:
        layer: l, from 0; default: the paper's depth, layer 7 of 32.
        steering: c.
        alpha: weight of the rest's term.
    """

    layer: int | None = Field(None, ge=0)
    steering: float = Field(6.5, gt=0)
    alpha: float = Field(1200.0, ge=0)


class Misdirection:
    """The loss; `seed` is u's. The model is about to be trained: the parameters of all but three layers are frozen here.

    Raises ValueError: the model has no such layer.
    """

    def __init__(self, model: Any, options: Options, seed: int) -> None:
        layers = model_layers(model)
        number = options.layer if options.layer is not None else _LAYER * len(layers) // _OF
        if number >= len(layers):
            raise ValueError(f"options.layer={number}: the model has layers 0 to {len(layers) - 1}")
        trained = {id(p) for layer in layers[max(0, number + 1 - _TRAINED) : number + 1] for p in layer.parameters()}
        for parameter in model.parameters():
            parameter.requires_grad_(parameter.requires_grad and id(parameter) in trained)
        self._model, self._layer, self._alpha = model, layers[number], options.alpha
        self._baseline = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
        size = model.config.get_text_config().hidden_size
        self.direction = options.steering * unit_vector(size, seed)

    def __call__(self, model: Any, batch: dict[str, Tensor], counts: Counts) -> tuple[Tensor, Any]:
        """The loss of one forward pass over target and rest, and a second one over the rest."""
        rest, mask = batch["rest"], batch["attention_mask"]
        with self._captured() as states:
            outputs = model(input_ids=batch["input_ids"], attention_mask=mask, use_cache=False)
        now = at_least_float32(states[0])
        direction = self.direction.to(now)
        target = _distances(now[~rest], direction, mask[~rest]).sum() / counts.blocks
        if not bool(rest.any()):
            return target, outputs
        kept = _distances(now[rest], self._baseline_states(batch["input_ids"][rest], mask[rest]), mask[rest])
        return target + self._alpha * kept.sum() / counts.rest_blocks, outputs

    @torch.no_grad()
    def _baseline_states(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        weights = {name: weight.to(input_ids.device) for name, weight in self._baseline.items()}
        training = self._model.training
        self._model.eval()
        with self._captured() as states:
            inputs = {"input_ids": input_ids, "attention_mask": mask, "use_cache": False}
            functional_call(self._model, weights, kwargs=inputs)
        self._model.train(training)
        return at_least_float32(states[0])

    @contextmanager
    def _captured(self) -> Iterator[list[Tensor]]:
        """The layer's output, (B, T, H), as its module gives it: with no norm behind it."""
        states: list[Tensor] = []

        def capture(_: Any, __: Any, output: Any) -> None:
            states.append(output[0] if isinstance(output, tuple) else output)

        with self._layer.register_forward_hook(capture):
            yield states


run = partial(finetune_on_pairs, lambda options, recipe, model: Misdirection(model, options, recipe.seed))


def model_layers(model: Any) -> Sequence[nn.Module]:
    """A transformer's layers, first to last: the module list that is as long as its config says."""
    number = model.config.get_text_config().num_hidden_layers
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == number:
            return list(module)
    raise ValueError(f"{type(model).__name__} has no list of {number} layers: rmu does not know where its layers are")


def unit_vector(size: int, seed: int) -> Tensor:
    """u: entries uniform in [0, 1), then scaled to length 1, (H,)."""
    drawn = torch.rand(size, generator=torch.Generator().manual_seed(seed))
    return drawn / drawn.norm()


def _distances(states: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    """Mean over each block's tokens of the squared distance, (B,)."""
    squared = (states - wanted).square().sum(-1) * mask
    return squared.sum(-1) / mask.sum(-1)
