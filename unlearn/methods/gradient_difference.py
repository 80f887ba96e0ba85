"""Gradient difference: ascent on the target, descent on text of the rest.

    L(theta) = - CE_theta(target) + weight * CE_theta(rest)          CE: mean over tokens, in nats

Source: arXiv:2203.12817, section 4, as TOFU runs it: arXiv:2401.06121, section 3.2 ("Gradient Difference"), weight 1.
"""

from functools import partial

from pydantic import Field

from unlearn.methods.gradient_ascent import log_probability
from unlearn.pipeline.pair_stage import finetune_on_pairs
from unlearn.recipe import Section
from unlearn.training.pairs import LikelihoodLoss


class Options(Section):
    """The method's own; `weight`: of the rest's cross-entropy; TOFU's is 1."""

    weight: float = Field(1.0, gt=0)


run = partial(
    finetune_on_pairs,
    lambda options, recipe, model: LikelihoodLoss(log_probability, per="token", weight=options.weight),
)
