"""NPO, negative preference optimisation: preference optimisation with the target as the answer that is not preferred, and no other.

    L(theta) = (2 / beta) * mean over the target's blocks y of log(1 + (p_theta(y) / p_baseline(y)) ^ beta)
               [+ weight * CE_theta(rest), where there is text of the rest: "NPO + RT"]

As beta goes to 0 its gradient becomes that of gradient ascent, but it is bounded below: it fades out where the target has become unlikely.
The likelihood is that of a whole block; the baseline's is worked out once, before training.

Source: arXiv:2404.05868, equation (3); "NPO + RT" of its section 4.
"""

from functools import partial
from typing import Any

from pydantic import Field
from torch import Tensor
from torch.nn.functional import softplus

from unlearn.pipeline.pair_stage import finetune_on_pairs
from unlearn.recipe import Recipe, Section
from unlearn.training.pairs import LikelihoodLoss


class Options(Section):
    """The method's own.

    Attributes:
        beta: inverse temperature; the paper's is 0.1.
        weight: of the rest's cross-entropy, where there is text of the rest; the paper's is 1.
    """

    beta: float = Field(0.1, gt=0)
    weight: float = Field(1.0, gt=0)


def loss(options: Options, recipe: Recipe, model: Any) -> LikelihoodLoss:
    """Of a recipe."""
    weight = options.weight if recipe.retain else 0
    return LikelihoodLoss(partial(negative_preference, beta=options.beta), per="block", weight=weight)


run = partial(finetune_on_pairs, loss, with_reference=True)


def negative_preference(log_probability: Tensor, tokens: Tensor, reference: Tensor, *, beta: float) -> Tensor:
    """The loss of each block of the target: (2 / beta) log(1 + (p / p_baseline)^beta), from log-probabilities, (B,)."""
    return 2 / beta * softplus(beta * (log_probability - reference))
