"""Engines: what runs a model for lm-eval. One engine serves many checkpoints."""

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

__all__ = ["ENGINES", "DoesNotFit", "Engine", "NeedsAnotherEngine", "engine_class"]


class DoesNotFit(ValueError):
    """These weights cannot replace the ones loaded: another architecture, another tokenizer."""


class NeedsAnotherEngine(DoesNotFit):
    """The model is sound and of the same kind, but this engine was not started for it (vLLM without adapters, say)."""


class Engine(Protocol):
    """A loaded model that lm-eval can question.

    Attributes:
        name: hf, vllm or endpoint.
        model: folder, hub id or address of the weights now loaded.
        dtype: of the weights; "" where it cannot be known.
        lm: the `lm_eval.api.model.LM`.
        base: the model under an adapter, if not the one that it names.
        stored: whether the weights are those of a folder or hub id, and so have a fingerprint; a live or a served model's are not.
    """

    name: str
    stored: bool
    model: str
    base: str | Path | None
    dtype: str
    lm: Any

    def swap(self, checkpoint: Path | str) -> None:
        """Replaces the weights by those of another checkpoint of the same architecture and tokenizer.

        Raises:
            DoesNotFit: it is of another kind.
            ValueError: it is broken. In both cases `model` names what the engine holds afterwards.
        """
        ...

    def close(self) -> None:
        """Frees the model's memory; the engine is of no use afterwards."""
        ...


#: Engine by name, as package.module:class.
ENGINES = {
    "hf": "hp_bench.engines.hf:HFEngine",
    "vllm": "hp_bench.engines.vllm:VLLMEngine",
    "endpoint": "hp_bench.engines.endpoint:EndpointEngine",
}


def engine_class(name: str) -> Any:
    """The class of an engine: a key of ENGINES, or package.module:class. Raises ValueError: there is none of that name."""
    module, separator, attribute = ENGINES.get(name, name).partition(":")
    try:
        if not separator:
            raise ImportError("no such name")
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"engine {name!r} is unknown ({error}); allowed: {', '.join(ENGINES)}, package.module:Class"
        ) from None
