"""Logits at chosen positions of a causal language model, without the (B, T, V) tensor."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)


class PositionLogits:
    """A model split into its backbone and its head, the head applied to chosen positions alone.

    What some architectures do to the head's output (soft-capping, scaling) is worked out by comparing with the model's own logits
    once; where no such rule fits, every call goes through the whole model, one sequence at a time.

    Args:
        model: any Hugging Face causal language model, in evaluation mode; a PEFT model too.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        inner: Any = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._backbone: nn.Module | None = (
            getattr(inner, inner.base_model_prefix, None) if inner.base_model_prefix else None
        )
        self._head = inner.get_output_embeddings()
        self._after: Callable[[Tensor], Tensor] | None = None
        self.device = next(model.parameters()).device
        self._check()

    @torch.inference_mode()
    def hidden(self, input_ids: Tensor, attention_mask: Tensor, rows: Tensor) -> Tensor:
        """What `logits` needs for the chosen positions.

        Args:
            input_ids: (B, T), padded on the right.
            attention_mask: (B, T).
            rows: flat indices into (B * T) of the chosen positions, (N,).

        Returns:
            (N, H) last hidden states, or, for an architecture that cannot be split, the (N, V) logits themselves.
        """
        if self._after is None:
            return self._whole(input_ids, attention_mask, rows)
        assert self._backbone is not None
        states = self._backbone(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).last_hidden_state
        return states.flatten(0, 1)[rows]

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """(n, V) logits of some rows of what `hidden` returned."""
        return hidden if self._after is None else self._after(self._head(hidden))

    def _whole(self, input_ids: Tensor, attention_mask: Tensor, rows: Tensor) -> Tensor:
        length = input_ids.shape[1]
        kept = []
        for number in range(input_ids.shape[0]):
            mine = rows[(rows >= number * length) & (rows < (number + 1) * length)] - number * length
            if mine.numel():
                out = self.model(
                    input_ids=input_ids[number : number + 1],
                    attention_mask=attention_mask[number : number + 1],
                    use_cache=False,
                )
                kept.append(out.logits[0, mine])
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
        raw = self._head(states.last_hidden_state[0])
        for after in _known_rules(getattr(self.model, "config", None)):
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
    text = getattr(config, "text_config", config)
    cap = getattr(text, "final_logit_softcapping", None)
    if cap:
        rules.append(lambda x: torch.tanh(x / cap) * cap)
    for name in ("logit_scale", "lm_head_multiplier", "output_multiplier_scale"):
        if isinstance(factor := getattr(text, name, None), int | float):
            rules.append(lambda x, factor=factor: x * factor)  # type: ignore[misc]
    if isinstance(divisor := getattr(text, "logits_scaling", None), int | float):
        rules.append(lambda x: x / divisor)
    return rules
