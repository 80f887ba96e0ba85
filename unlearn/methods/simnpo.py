"""SimNPO: NPO without a reference model, its likelihoods measured per token.

    L(theta) = - (2 / beta) * mean over the target's blocks y of log sigmoid(- (beta / |y|) log p_theta(y) - gamma)
               [+ weight * CE_theta(rest), where there is text of the rest]

NPO's weight on a block depends on how well the baseline knew it; this one's on how well the model knows it now. |y| is the block's number
of predicted tokens.

Source: arXiv:2410.07163, section 5, the SimNPO objective (from SimPO, arXiv:2405.14734, by its negative answer alone).
"""

from functools import partial
from typing import Any

from pydantic import Field
from torch import Tensor
from torch.nn.functional import logsigmoid

from unlearn.pipeline.pair_stage import finetune_on_pairs
from unlearn.recipe import Recipe, Section
from unlearn.training.pairs import LikelihoodLoss


class Options(Section):
    """The method's own.

    Attributes:
        beta: inverse temperature; the authors' command for TOFU's forget05 has 2.5, for forget10 4.5.
        gamma: margin that the mean log-probability is pushed below; the authors' configuration has 0.
        weight: of the rest's cross-entropy, where there is text of the rest; 1 (the authors weigh the target's term, by .1375, instead).
    """

    beta: float = Field(2.5, gt=0)
    gamma: float = Field(0.0, ge=0)
    weight: float = Field(1.0, gt=0)


def loss(options: Options, recipe: Recipe, model: Any) -> LikelihoodLoss:
    """Of a recipe."""
    target = partial(simple_negative_preference, beta=options.beta, gamma=options.gamma)
    return LikelihoodLoss(target, per="block", weight=options.weight if recipe.retain else 0)


run = partial(finetune_on_pairs, loss)


def simple_negative_preference(
    log_probability: Tensor, tokens: Tensor, reference: Tensor, *, beta: float, gamma: float
) -> Tensor:
    """The loss of each block of the target: -(2 / beta) log sigmoid(-(beta / |y|) log p - gamma), (B,)."""
    mean = log_probability / tokens.clamp(min=1)
    return -2 / beta * logsigmoid(-beta * mean - gamma)
