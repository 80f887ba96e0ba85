"""The unlearning methods, by name: where each one's page is, and what it reads of a recipe."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pkgutil import resolve_name
from typing import Any, Literal


@dataclass(frozen=True)
class Method:
    """Where a method's page is, and what it reads of a recipe.

    Attributes:
        page: module with `run(recipe, *, callbacks)`, which returns the folder of the checkpoints, with `Options`, a `Section`, if it has
            any, and with `load(description, folder, *, device, dtype)`, which returns a live model, if it is live.
        anchors: whether it translates.
        reinforced: whether it trains a reinforced model (`reinforce`).
        labels: whether it makes generic labels (`labels`).
        retain: whether text of the rest is never read, may be, or must be there.
        finetune: whether the baseline is fine-tuned in the end (`finetune`); otherwise nothing is trained but the reinforced model.
        live: whether it acts at inference: its checkpoints are descriptions, which `unlearn.load_unlearned` makes models of.
    """

    page: str
    anchors: bool = False
    reinforced: bool = False
    labels: bool = False
    retain: Literal["never", "may", "must"] = "never"
    finetune: bool = True
    live: bool = False

    @property
    def module(self) -> Any:
        """The page, imported."""
        return import_module(self.page)


METHODS: Mapping[str, Method] = {
    "whp": Method("unlearn.methods.whp", anchors=True, reinforced=True, labels=True, retain="may"),
    "name_swap": Method("unlearn.methods.name_swap", anchors=True, labels=True, retain="may"),
    "gradient_ascent": Method("unlearn.methods.gradient_ascent"),
    "gradient_difference": Method("unlearn.methods.gradient_difference", retain="must"),
    "npo": Method("unlearn.methods.npo", retain="may"),
    "simnpo": Method("unlearn.methods.simnpo", retain="may"),
    "rmu": Method("unlearn.methods.rmu", retain="must"),
    "task_vector": Method("unlearn.methods.task_vector", reinforced=True, finetune=False),
    "ensemble": Method("unlearn.methods.ensemble", reinforced=True, finetune=False, live=True),
    "prompt_only": Method("unlearn.methods.prompt_only", finetune=False, live=True),
}


def method_of(name: str) -> Method:
    """A method by its key in `METHODS`, or by `package.module:object`. Raises ValueError: there is none of that name."""
    try:
        method = resolve_name(name) if ":" in name else METHODS.get(name)
    except (ImportError, AttributeError, ValueError):
        method = None
    if not isinstance(method, Method):
        raise ValueError(
            f"method {name!r} is unknown; allowed: {', '.join(METHODS)}, or package.module:object of a Method"
        )
    return method
