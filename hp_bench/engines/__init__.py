"""Engines: what runs a model for lm-eval. One engine serves many checkpoints, their weights swapped in place."""

from pathlib import Path
from typing import Any, Protocol


class Engine(Protocol):
    """A loaded model that lm-eval can question.

    Attributes:
        name: hf, vllm or endpoint.
        model: folder or hub id of the weights now loaded.
        dtype: of the weights.
        lm: the `lm_eval.api.model.LM`.
    """

    name: str
    model: str
    dtype: str
    lm: Any

    def swap(self, checkpoint: Path | str) -> None:
        """Replaces the weights by those of another checkpoint of the same architecture and tokenizer.

        Raises:
            ValueError: the checkpoint does not fit; the engine keeps the weights it had.
        """
        ...
