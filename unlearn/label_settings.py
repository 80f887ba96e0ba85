"""Everything that decides a label beside the models, the corpus and the anchors."""

from dataclasses import dataclass
from typing import Literal

from unlearn.generic import Gauge, Offset
from unlearn.translate import Repeats

Forbid = Literal["frequent-excepted", "paper", "rename"]


@dataclass(frozen=True)
class LabelSettings:
    """How labels are made; the defaults are the paper's where it speaks, docs/method.md's otherwise.

    Attributes:
        alphas: strengths of the offset, at least one; labels for all of them come from one pass.
        offset: `relu` (paper) or `linear` (the paper's first version).
        logits: `raw` (paper) or `log_softmax`.
        repeats: rule 1 counts occurrences by `entity`, or by anchor string as in the `paper`; `none`: it ignores nothing.
        forbid: rule 2 excepts the 100 most frequent tokens, or, as in the `paper`, none; `rename`: what the baseline says of a
            translation is said of the anchor instead.
        inside: whether positions inside an anchor are labelled too; the paper's are not.
        block_tokens: longest source block, in tokens, special tokens included.
        batch_blocks: blocks a forward pass; part of the settings because float sums depend on it.
        top_k: soft labels: how many of the largest generic logits to keep per position; 0 for none.
        seed: of the translations' draw.
        translations: readings of each block, in each of which every entity has another translation; their generic distributions are
            averaged.
    """

    alphas: tuple[float, ...] = (5.0,)
    offset: Offset = "relu"
    logits: Gauge = "raw"
    repeats: Repeats = "entity"
    forbid: Forbid = "frequent-excepted"
    block_tokens: int = 512
    batch_blocks: int = 8
    top_k: int = 0
    seed: int = 0
    translations: int = 1
    inside: bool = False

    def __post_init__(self) -> None:
        if not self.alphas or any(not alpha >= 0 for alpha in self.alphas):
            raise ValueError(f"alphas={list(self.alphas)}: at least one is needed, each >= 0")
        if len({alpha_column(alpha) for alpha in self.alphas}) < len(self.alphas):
            raise ValueError(
                f"alphas={list(self.alphas)}: two of them would share the column {alpha_column(self.alphas[0])!r}"
            )
        if self.block_tokens < 2 or self.batch_blocks < 1 or self.top_k < 0 or self.translations < 1:
            raise ValueError(
                f"block_tokens={self.block_tokens} (>= 2), batch_blocks={self.batch_blocks} (>= 1), top_k={self.top_k} (>= 0), "
                f"translations={self.translations} (>= 1)"
            )


def alpha_column(alpha: float) -> str:
    """Name of the label column of a further alpha."""
    return f"labels_alpha_{alpha:g}"
