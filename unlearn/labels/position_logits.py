"""Logits at chosen positions of a causal language model, without the (B, T, V) tensor."""

import logging
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unlearn.labels.branches import Branches, tree

log = logging.getLogger(__name__)


class PositionLogits:
    """A model split into its backbone and its head, the head applied to chosen positions alone.

    What some architectures do to the head's output (soft-capping, scaling) is worked out by comparing with the model's own logits
    once; where no such rule fits, every call goes through the whole model, one sequence at a time. The model is any Hugging Face causal
    language model, in evaluation mode; a PEFT model too.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        inner: Any = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._backbone: nn.Module | None = getattr(inner, inner.base_model_prefix or "", None)
        self._head = inner.get_output_embeddings()
        self._after: Callable[[Tensor], Tensor] | None = None
        self.device = next(model.parameters()).device
        self.dtype = next(p.dtype for p in model.parameters() if p.is_floating_point())
        self._config = model.config.get_text_config()
        self._check()

    @torch.inference_mode()
    def hidden(self, rows: Tensor, **given: Tensor) -> Tensor:
        """What `logits` needs for the chosen positions.

        Args:
            rows: flat indices into (B * T) of the chosen positions, (N,).
            given: `input_ids`, (B, T), padded on the right; `attention_mask`, (B, T), or, where `reads_trees`, one to be added to attention
                scores, (B, 1, T, T); and `position_ids`, (B, T), if they are not 0 to T - 1.

        Returns:
            (N, H) last hidden states, or, for an architecture that cannot be split, the (N, V) logits themselves.
        """
        given = {name: values.to(self.device) for name, values in given.items()}
        if self._after is None:
            return self._whole(given, rows)
        assert self._backbone is not None
        states = self._backbone(**given, use_cache=False).last_hidden_state
        return states.flatten(0, 1)[rows.to(states.device)]

    @cached_property
    def reads_trees(self) -> bool:
        """Whether the model takes a mask of any shape and position ids, and reads a branch as it reads the same tokens in a row."""
        # from all over the vocabulary: its first ids are often special tokens that no training has touched, and rounding runs wild there
        *text, first, second = (self._config.vocab_size * (2 * n + 1) // 20 for n in range(10))
        branch = [first, second]
        path, ids = torch.tensor([text[:4] + branch]), torch.tensor([text + branch])
        found = Branches(*(np.array(values) for values in (branch, [3, len(text)], [3, 3], [0, 1])))
        try:
            mask, positions = tree([len(text)], [found], self.dtype)
            given = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
            ours = self.logits(self.hidden(torch.tensor([len(text), len(text) + 1]), **given))
            row = {"input_ids": path, "attention_mask": torch.ones_like(path)}
            plain = self.logits(self.hidden(torch.tensor([4, 5]), **row))
        except Exception:
            log.debug("%s takes no mask of another shape", type(self.model).__name__, exc_info=True)
            return False
        # what reads something else is off by about the logits' spread
        share = 0.01 if torch.finfo(self.dtype).bits >= 32 else 0.2
        return torch.allclose(ours.float(), plain.float(), rtol=1e-3, atol=share * plain.float().std().item())

    def sees_all(self, length: int) -> bool:
        """Whether every layer sees the whole of so many tokens; a mask of another shape would widen the window of one that does not."""
        names = ("sliding_window", "attention_chunk_size", "attention_window_size", "window_size")
        windows = (getattr(self._config, name, None) for name in names)
        return all(length <= size for size in windows if isinstance(size, int))

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """(n, V) logits of some rows of what `hidden` returned."""
        return (hidden if self._after is None else self._after(self._head(hidden))).to(self.device)

    def _whole(self, given: dict[str, Tensor], rows: Tensor) -> Tensor:
        count, length = given["input_ids"].shape
        kept = []
        for number in range(count):
            mine = rows[(rows >= number * length) & (rows < (number + 1) * length)] - number * length
            if mine.numel():
                one = {name: values[number : number + 1] for name, values in given.items()}
                kept.append(self.model(**one, use_cache=False).logits[0, mine])
        return torch.cat(kept)

    @torch.inference_mode()
    def _check(self) -> None:
        """Finds what the architecture does after its head; leaves `_after` None if nothing known fits."""
        if self._backbone is None or self._head is None:
            return
        ids = torch.arange(3, 11, device=self.device)[None]
        mask = torch.ones_like(ids)
        truth = self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits[0].float()
        states = self._backbone(input_ids=ids, attention_mask=mask, use_cache=False)
        if getattr(states, "last_hidden_state", None) is None:
            return
        raw = self._head(states.last_hidden_state[0]).to(truth.device)
        for after in _known_rules(self._config):
            if torch.allclose(after(raw).float(), truth, rtol=1e-3, atol=1e-3):
                self._after = after
                return
        log.warning(
            "%s does something unknown to its head's output: labels are made one sequence at a time, through the whole model",
            type(self.model).__name__,
        )


def _known_rules(config: object) -> list[Callable[[Tensor], Tensor]]:
    """What architectures are known to do to the output of their heads, the plain case first."""
    rules: list[Callable[[Tensor], Tensor]] = [lambda x: x]
    cap = getattr(config, "final_logit_softcapping", None)
    if cap:
        rules.append(lambda x: torch.tanh(x / cap) * cap)
    for name in ("logit_scale", "lm_head_multiplier", "output_multiplier_scale"):
        if isinstance(factor := getattr(config, name, None), int | float):
            rules.append(lambda x, factor=factor: x * factor)  # type: ignore[misc]
    if isinstance(divisor := getattr(config, "logits_scaling", None), int | float):
        rules.append(lambda x: x / divisor)
    return rules
