"""Gradient ascent: train on the target with the loss negated. The first idea that the paper names, and rejects.

    L(theta) = mean over the target's tokens of log p_theta(token | what stands before it)

It unlearns the language of the target rather than its facts: of "My name is Harry" it unlearns "My name is" as well. It has no lower
bound: a model trained on it for long becomes noise.

Source: arXiv:2310.02238, section 2 ("negating the loss function"); as a method of its own arXiv:2210.01504, equation (1).
"""

from functools import partial

from torch import Tensor

from unlearn.pipeline.pair_stage import finetune_on_pairs
from unlearn.training.pairs import LikelihoodLoss


def log_probability(log_probability: Tensor, tokens: Tensor, reference: Tensor) -> Tensor:
    """The loss of each block: its log-probability, in nats, (B,)."""
    return log_probability


run = partial(finetune_on_pairs, lambda options, recipe, model: LikelihoodLoss(log_probability, per="token"))
