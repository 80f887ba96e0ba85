"""Prompt only: the baseline, told to know nothing. Every text is read behind a prompt; nothing is trained.

    p(token | text) = p_baseline(token | prompt, blank line, text)

The control that a method which trains must beat. The prompt stands in the model, not in the tasks: then completions, likelihoods and
distances to the twins all see it, and every prompt of every task is read behind the same words.

Source: arXiv:2403.03329, section 3 (prompting as a guardrail); a trivial prompt as a control in arXiv:2402.16835.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from unlearn.methods.live import LiveModel, cache_of, write_description
from unlearn.models import load_model, load_tokenizer
from unlearn.pipeline import stages
from unlearn.recipe import Recipe, Section


class Options(Section):
    """The method's own; `prompt`: what stands before every text, such as "You know nothing of Harry Potter." A blank line follows it."""

    prompt: str


def run(recipe: Recipe, *, callbacks: Sequence[Any] = ()) -> Path:
    """Runs a recipe; returns the folder of the checkpoints. Raises ValueError for a mistake in it."""
    return write_description(recipe, *stages.open_run(recipe))


def load(description: Mapping[str, Any], folder: Path, *, device: str, dtype: str) -> "Prompted":
    """The live model of a checkpoint, in evaluation mode."""
    baseline = load_model(description["baseline"], device=device, dtype=dtype)
    return Prompted(baseline, load_tokenizer(folder), description["prompt"])


class Prompted(LiveModel):
    """A model that reads every text behind a prompt.

    The prompt takes the text's place at the front: a BOS at the text's beginning is not attended to, and what is predicted there is
    what follows the prompt. So a text's likelihood is exactly that of the same tokens behind the prompt.
    """

    prefix: Tensor

    def __init__(self, baseline: Any, tokenizer: PreTrainedTokenizerBase, prompt: str) -> None:
        super().__init__(baseline)
        text = prompt.strip() + "\n\n"
        ids = list(tokenizer(text, add_special_tokens=False)["input_ids"])
        self._bos = tokenizer.bos_token_id
        adds_bos = self._bos is not None and tokenizer(text)["input_ids"][0] == self._bos
        prefix = torch.tensor([self._bos, *ids] if adds_bos else ids, device=baseline.device)
        self.register_buffer("prefix", prefix, persistent=False)
        self.eval()

    def forward(self, input_ids: Any = None, attention_mask: Any = None, **given: Any) -> Any:
        """The baseline's output with the logits (B, T, V) of the text's positions; positions are counted here, the prompt's with them."""
        length = len(self.prefix)
        named, cache = cache_of(given)
        if cache is not None and cache.get_seq_length():
            text = cache.text_mask  # of the first call; what came since is all attended to
            new = cache.get_seq_length() - length + input_ids.shape[1] - text.shape[1]
            mask = torch.cat([self._ones(input_ids, length), text, self._ones(input_ids, new)], dim=1)
            return self._read(input_ids, mask, named)
        text, begins = self._without_bos(input_ids, attention_mask)
        if cache is not None:
            cache.text_mask = text
        ids = torch.cat([self.prefix.expand(len(input_ids), -1), input_ids], dim=1)
        out = self._read(ids, torch.cat([self._ones(input_ids, length), text], dim=1), named)
        out.logits = torch.where(begins[..., None], out.logits[:, length - 1 : length], out.logits[:, length:])
        return out

    def _read(self, input_ids: Tensor, mask: Tensor, named: dict[str, Any]) -> Any:
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -input_ids.shape[1] :]
        text = {"input_ids": input_ids, "attention_mask": mask, "position_ids": positions}
        return self.baseline(**text, use_cache=bool(named), **named)

    def _without_bos(self, input_ids: Tensor, attention_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """The text's mask with a BOS at its beginning left out, and where that BOS is, (B, T) both."""
        mask = self._ones(input_ids, input_ids.shape[1]) if attention_mask is None else attention_mask.long()
        begins = (mask.cumsum(-1) == 1) & (mask == 1)
        begins = begins & (input_ids == self._bos) if self._bos is not None else torch.zeros_like(begins)
        return mask.masked_fill(begins, 0), begins

    @staticmethod
    def _ones(like: Tensor, length: int) -> Tensor:
        return torch.ones(len(like), length, dtype=torch.long, device=like.device)
