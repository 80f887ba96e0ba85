"""NPO, negative preference optimisation: preference optimisation with the target as the answer that is not preferred, and no other.

    L(theta) = (2 / beta) * mean over the target's blocks y of log(1 + (p_theta(y) / p_baseline(y)) ^ beta)
               [+ weight * CE_theta(rest), where there is text of the rest: "NPO + RT"]

As beta goes to 0 its gradient becomes that of gradient ascent, but it is bounded below: it fades out where the target has become unlikely.
The likelihood is that of a whole block; the baseline's is worked out once, before training.

Source: arXiv:2404.05868, equation (3); "NPO + RT" of its section 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field
from torch import Tensor
from torch.nn.functional import softplus

from unlearn.pipeline.pair_stage import finetune_on_pairs
from unlearn.recipe import Recipe, Section
from unlearn.training.pair_trainer import LikelihoodLoss


class Options(Section):
    """The method's own.

    Attributes:
        beta: inverse temperature; the paper's is 0.1.
        weight: of the rest's cross-entropy, where there is text of the rest; the paper's is 1.
    """

    beta: float = Field(0.1, gt=0)
    weight: float = Field(1.0, gt=0)


def run(recipe: Recipe, *, callbacks: Sequence[Any] = ()) -> Path:
    """Runs a recipe; returns the folder of the checkpoints. Raises ValueError for a mistake in it."""
    options = Options.model_validate(recipe.options.model_dump())
    loss = LikelihoodLoss(NegativePreference(options.beta), per="block", weight=options.weight if recipe.retain else 0)
    return finetune_on_pairs(recipe, lambda _: loss, with_reference=True, callbacks=callbacks)


@dataclass(frozen=True)
class NegativePreference:
    """The loss of each block of the target."""

    beta: float

    def __call__(self, log_probability: Tensor, tokens: Tensor, reference: Tensor) -> Tensor:
        """(2 / beta) log(1 + (p / p_baseline)^beta), from the blocks' log-probabilities, (B,)."""
        return 2 / self.beta * softplus(self.beta * (log_probability - reference))
