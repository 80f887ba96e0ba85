"""A recipe: everything that decides a run, as a YAML file; `key=value` overrides it; an unknown key is an error."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from unlearn.files import find_recipe
from unlearn.registry import method_of
from unlearn.settings import Labels, PathText, Retain, Section, Training

__all__ = ["Recipe", "Section", "Training"]


class Recipe(Section):
    """A run of a whole method.

    Attributes:
        model: the baseline: folder or hub id.
        corpus: the unlearn target: file, folder, JSON lines, dataset folder or hub id.
        anchors: the dictionary; only for the methods that translate.
        out: run directory.
        method: a key of `unlearn.registry.METHODS`, or `package.module:object` of a `Method`.
        options: the method's own, such as `options.beta`; docs/methods.md has them all.
        retain: text of the rest, for the methods that read some.
        seed: of everything.
        device: auto, cpu, cuda, mps, split (a large model's layers over several GPUs while labelling).
        dtype: of the weights: auto, float32, bfloat16, ...
        split: of a Hugging Face dataset.
        text_column: of JSON lines and datasets.
        reinforce: the fine-tune on the target.
        labels: generic labels.
        finetune: the fine-tune on the labels.
    """

    model: PathText
    corpus: PathText
    anchors: Annotated[PathText, AfterValidator(lambda path: path and str(find_recipe(path)))] = ""
    out: PathText
    method: str = "whp"
    options: SerializeAsAny[Section] = Field(default_factory=Section, validate_default=True)
    retain: Retain | None = None
    seed: int = 0
    device: Literal["auto", "cpu", "cuda", "mps", "split"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16", "float64"] = "auto"
    split: str = "train"
    text_column: str = "text"
    reinforce: Training = Field(default_factory=lambda: Training(epochs=3, learning_rate=3e-6, save_every=0))
    labels: Labels = Field(default_factory=Labels)
    finetune: Training = Field(default_factory=Training)

    @field_validator("options", mode="plain")
    @classmethod
    def _read_options(cls, value: Any, info: ValidationInfo) -> Section:
        page = method_of(info.data["method"]).module if "method" in info.data else None
        section: type[Section] = getattr(page, "Options", Section)
        given = value.model_dump() if isinstance(value, Section) else value if value is not None else {}
        try:
            return section.model_validate(given)
        except ValidationError as error:
            raise ValueError(f"{_first_error(error, section, 'options.')} (method {info.data['method']})") from None

    @model_validator(mode="after")
    def _complete(self) -> "Recipe":
        method = method_of(self.method)
        if self.translates and "anchors" not in self.model_fields_set:
            raise ValueError("key 'anchors' is missing")
        if method.retain == "must" and self.retain is None:
            raise ValueError(f"method {self.method} needs text of the rest: retain.corpus is missing")
        if method.retain == "never" and self.retain is not None:
            raise ValueError(
                f"method {self.method} reads no text of the rest: leave out retain ({self.retain.corpus!r})"
            )
        return self

    @property
    def translates(self) -> bool:
        """Whether the run reads the anchor dictionary."""
        return method_of(self.method).anchors and self.labels.use_anchors

    @property
    def reinforces(self) -> bool:
        """Whether the run trains a reinforced model."""
        method = method_of(self.method)
        return method.reinforced and (self.labels.use_reinforced or not method.labels)

    @classmethod
    def load(cls, path: Path | str, overrides: Sequence[str] = ()) -> "Recipe":
        """Reads a YAML recipe, or one that comes with the package, by its name; `key=value` (dotted keys, YAML values) overrides it.

        Raises ValueError: the file is missing or no mapping, a key is unknown, or a value is not allowed; the message names it.
        """
        path = find_recipe(path)
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"recipe {str(path)!r} cannot be read: {error.strerror}") from None
        except yaml.YAMLError as error:
            raise ValueError(f"recipe {str(path)!r} is not YAML: {error}") from None
        if not isinstance(content, dict):
            raise ValueError(f"recipe {str(path)!r} must be a mapping of keys to values")
        for change in overrides:
            override(content, change)
        return cls.build(content, where=f"recipe {str(path)!r}")

    @classmethod
    def build(cls, content: dict[str, Any], *, where: str = "recipe") -> "Recipe":
        """A recipe from plain values; raises ValueError as `load` does."""
        try:
            return cls(**content)
        except ValidationError as error:
            raise ValueError(f"{where}: {_first_error(error, cls)}") from None

    def to_yaml(self) -> str:
        """The resolved recipe."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def override(content: dict[str, Any], change: str) -> None:
    """Applies `key=value` to a recipe's plain values, in section; the key is dotted, the value is YAML."""
    key, separator, value = change.partition("=")
    if not separator or not key:
        raise ValueError(f"{change!r} is not of the form key=value (for example finetune.learning_rate=1e-5)")
    section = content
    *parents, last = key.split(".")
    for parent in parents:
        if section.get(parent) is None:
            section[parent] = {}
        if not isinstance(section[parent], dict):
            raise ValueError(f"{change!r}: {parent!r} is a value, not a section")
        section = section[parent]
    section[last] = _value(value)


def _value(text: str) -> Any:
    """YAML, but 1e-5 is a number (YAML 1.1 wants 1.0e-5)."""
    try:
        return float(text) if "e" in text.lower() and not text.isalpha() else yaml.safe_load(text)
    except ValueError:
        return yaml.safe_load(text)


def _first_error(error: ValidationError, recipe: type[BaseModel], prefix: str = "") -> str:
    first = error.errors()[0]
    key = prefix + ".".join(str(part) for part in first["loc"])
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    if first["type"] == "extra_forbidden":
        section: Any = recipe
        for part in first["loc"][:-1]:
            section = _section(section.model_fields[str(part)].annotation)
        return f"unknown key {key!r}; allowed there: {', '.join(section.model_fields) or 'none'}"
    if first["type"] == "missing":
        return f"key {key!r} is missing"
    return f"{key}={first['input']!r}: {first['msg']}"


def _section(annotation: Any) -> Any:
    return next((a for a in getattr(annotation, "__args__", (annotation,)) if hasattr(a, "model_fields")), annotation)
