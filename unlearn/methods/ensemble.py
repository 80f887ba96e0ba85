"""Two models at inference (MUSE's "WHP"): the paper's formula on the logits of every step, no anchors, no final model.

    logits = b - alpha * ReLU(r - b)          b: the baseline's, r: the reinforced model's, both on the same text

Nothing is trained but the reinforced model, and every token costs two models. A checkpoint is a description; `unlearn.load_unlearned`
makes of it a live model, which generates with both key-value caches.

Source: arXiv:2407.06460, section 3 ("WHP"), as its authors' code computes it (their text writes the difference of probabilities).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field
from transformers import DynamicCache

from unlearn.labels.formula import generic_logits
from unlearn.methods.live import LiveModel, cache_of, write_description
from unlearn.models import load_models, same_vocabulary
from unlearn.pipeline import stages
from unlearn.recipe import Recipe, Section
from unlearn.settings import Offset


class Options(Section):
    """The method's own.

    Attributes:
        alpha: strength of the offset; 1 is the default of MUSE's code.
        offset: relu, or linear.
    """

    alpha: float = Field(1.0, ge=0)
    offset: Offset = "relu"


def run(recipe: Recipe, *, callbacks: Sequence[Any] = ()) -> Path:
    """Runs a recipe; returns the folder of the checkpoints. Raises ValueError for a mistake in it."""
    target, rundir = stages.open_run(recipe)
    return write_description(recipe, target, rundir, reinforced=stages.reinforce(recipe, target, rundir))


def load(description: Mapping[str, Any], folder: Path, *, device: str, dtype: str) -> "Ensemble":
    """The live model of a checkpoint, in evaluation mode."""
    both = load_models(description["baseline"], folder / description["reinforced"], device=device, dtype=dtype)
    return Ensemble(*both, alpha=description["alpha"], offset=description["offset"])


class Ensemble(LiveModel):
    """A loaded baseline and its reinforced model as one causal language model; ValueError if their vocabularies differ in size.

    `alpha`: strength of the offset, >= 0; 0 is the baseline.
    """

    def __init__(self, baseline: Any, reinforced: Any, *, alpha: float = 1.0, offset: Offset = "relu") -> None:
        same_vocabulary(baseline, reinforced)
        super().__init__(baseline)
        self.reinforced = reinforced
        self._alpha, self._offset = alpha, offset
        self.eval()

    def forward(self, input_ids: Any = None, attention_mask: Any = None, position_ids: Any = None, **given: Any) -> Any:
        """The baseline's output with the formula's logits (B, T, V), float32; the second model's cache travels on the first's."""
        named, cache = cache_of(given)
        if cache is not None and not hasattr(cache, "beside"):
            cache.beside = DynamicCache(config=self.reinforced.config)
        text = {"input_ids": input_ids, "attention_mask": attention_mask, "position_ids": position_ids}
        text["use_cache"] = cache is not None
        out = self.baseline(**text, **named)
        r = self.reinforced(**text, **{name: own.beside for name, own in named.items()}).logits
        out.logits = generic_logits(out.logits, r, alpha=self._alpha, offset=self._offset)
        return out
