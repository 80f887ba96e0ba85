"""Approximate unlearning in language models, after "Who's Harry Potter?" (arXiv:2310.02238).

Anchors -> reinforced model -> generic labels -> fine-tune; for any Hugging Face causal language model, any fast tokenizer, any corpus.
The method in full: `unlearn/methods/whp.py`; exactly: `docs/method.md`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PUBLIC = {
    "Anchor": "unlearn.anchors",
    "AnchorDraft": "unlearn.anchor_draft",
    "AnchorDictionary": "unlearn.anchors",
    "Corpus": "unlearn.corpus",
    "Document": "unlearn.corpus",
    "Endpoint": "unlearn.endpoint",
    "LabelSettings": "unlearn.label_settings",
    "METHODS": "unlearn.methods",
    "Method": "unlearn.methods",
    "Recipe": "unlearn.recipe",
    "Retain": "unlearn.recipe",
    "Training": "unlearn.recipe",
    "contrast_anchors": "unlearn.anchor_contrast",
    "fine_tune": "unlearn.train",
    "generic_logits": "unlearn.generic",
    "language_model_anchors": "unlearn.anchor_language_model",
    "load_unlearned": "unlearn.live",
    "make_labels": "unlearn.label_dataset",
    "recipes_dir": "unlearn.resources",
    "run": "unlearn.methods",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        from importlib import import_module

        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'unlearn' has no attribute {name!r}; public names: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
