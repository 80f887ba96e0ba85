"""Gives every model in turn an engine that holds it: opened with the first that can be loaded, its weights swapped for the others."""

import inspect
import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from hp_bench.engines import ENGINES, DoesNotFit, Engine, NeedsAnotherEngine, engine_class
from hp_bench.engines.fingerprint import Identity, fingerprint, identity_of
from hp_bench.engines.source import locate, require_whole, stored_dtype, widest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineSettings:
    """How an engine is opened.

    Attributes:
        engine: a key of ENGINES, or package.module:class.
        device: auto, cpu, cuda or mps.
        dtype: auto, float32, bfloat16 or float16.
        batch_size: prompts at a time; None: the engine's own choice.
        tokenizer: folder or hub id, where a model has none beside it.
        base: the model under adapters, if not the one that they name.
        arguments: further arguments of the engine, such as vLLM's tensor_parallel_size.
    """

    engine: str = "hf"
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int | None = None
    tokenizer: str | None = None
    base: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, engine: str, options: Mapping[str, Any]) -> "EngineSettings":
        """Settings from a Python caller's options: what is no attribute here is an argument of the engine."""
        options = dict(options)
        own = {one.name: options.pop(one.name) for one in fields(cls) if one.name in options}
        return cls(engine, **{**own, "arguments": {**own.get("arguments", {}), **options}})

    def open(self, model: str | Path, *, dtype: str = "", **further: Any) -> Engine:
        """A fresh engine holding a model. Raises ValueError: it has no such argument, or cannot hold the model."""
        made = engine_class(self.engine_of(model))
        takes = inspect.signature(made).parameters
        unknown = [name for name in self.arguments if name not in takes]
        if unknown and not any(one.kind is one.VAR_KEYWORD for one in takes.values()):
            raise ValueError(f"engine {self.engine_of(model)} has no setting {unknown[0]!r} (--engine-arg)")
        engine: Engine = made(
            model, device=self.device, dtype=dtype or self.dtype, batch_size=self.batch_size, tokenizer=self.tokenizer, base=self.base,
            **self.arguments, **further,
        )  # fmt: skip
        return engine

    def engine_of(self, model: str | Path) -> str:
        """The engine's name; an address needs the endpoint, whatever was asked for."""
        return "endpoint" if str(model).startswith(("http://", "https://")) else self.engine


class Loader(AbstractContextManager["Loader"]):
    """Holds at most one engine.

    Args:
        settings: how to open it.
        expected: the models to come, as far as they are known. Where the dtype is auto, one type is chosen that holds the weights of all
            of them exactly, so that a float32 checkpoint is not rounded to its bfloat16 baseline's type.
        one_kind: whether all must be of one architecture and tokenizer, as on a curve; otherwise a model of another kind gets an engine of
            its own.
    """

    def __init__(self, settings: EngineSettings, expected: Sequence[str | Path] = (), *, one_kind: bool = True) -> None:
        self.settings = settings
        self._expected = [str(one) for one in expected]
        self._one_kind = one_kind
        self._engine: Engine | None = None
        self._stored: dict[str, str] = {}

    def __call__(self, model: str | Path) -> Engine:
        """An engine that holds the model. Raises ValueError: the model is broken, or of another kind; one sentence."""
        kind = self.settings.engine_of(model)
        if self._engine is not None and kind == self._engine.name:
            try:
                if self._engine.model != str(model):
                    if not self._one_kind and self._dtype(model) not in ("auto", self._engine.dtype):
                        raise NeedsAnotherEngine(f"{str(model)!r} is stored in another type than {self._engine.dtype}")
                    self._engine.swap(model)
                return self._engine
            except DoesNotFit as reason:
                if self._one_kind and not isinstance(reason, NeedsAnotherEngine):
                    raise
                log.debug("another engine: %s", reason)
        self.close()
        further = {} if kind == "endpoint" else {"dtype": self._dtype(model), **self._adapters(model)}
        self._engine = self.settings.open(model, **further)
        return self._engine

    def identity(self, model: str | Path) -> Identity:
        """What will tell the model's numbers apart; its type is "auto" where only the loaded model can tell."""
        kind = self.settings.engine_of(model)
        if kind not in ENGINES:
            with suppress(ValueError, AttributeError):  # said when it is opened
                kind = str(engine_class(kind).name)
        return Identity(fingerprint(str(model), self.settings.base), kind, self._dtype(model))

    def close(self) -> None:
        """Frees the engine, if there is one."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _dtype(self, model: str | Path) -> str:
        """The type that a model will be opened in; `auto` where its config names none."""
        if self.settings.dtype != "auto":
            return self.settings.dtype
        models = [str(model), *self._expected] if self._one_kind else [str(model)]
        for one in models:
            if one not in self._stored:
                with suppress(ValueError):  # said when its turn comes
                    self._stored[one] = stored_dtype(locate(one, base=self.settings.base))
        return widest([self._stored.get(one, "") for one in models])

    def _adapters(self, model: str | Path) -> dict[str, Any]:
        """The adapters to come, of which vLLM must be told before it starts."""
        if self.settings.engine_of(model) != "vllm":
            return {}
        base = locate(model, base=self.settings.base).whole
        adapters = []
        for one in dict.fromkeys(self._expected):
            with suppress(ValueError):  # said when its turn comes
                source = locate(one, base=self.settings.base)
                require_whole(source)
                adapters += [one] if source.base == base else []
        return {"adapters": adapters}


class OneEngine(Loader):
    """The loader of an engine that is open already, as a live model's is: it opens no other."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(EngineSettings(engine.name))
        self._engine = self._only = engine

    def __call__(self, model: str | Path) -> Engine:
        """The engine, with the model's weights."""
        if self._only.model != str(model):
            self._only.swap(model)
        return self._only

    def identity(self, model: str | Path) -> Identity:
        """Of the model in this engine."""
        return identity_of(self._only, model)
