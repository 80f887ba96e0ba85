"""Approximate unlearning in language models, after "Who's Harry Potter?" (arXiv:2310.02238).

Anchors -> reinforced model -> generic labels -> fine-tune; for any Hugging Face causal language model, any fast tokenizer, any corpus.
The method in full: `unlearn/methods/whp.py`; exactly: `docs/method.md`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PUBLIC = {
    "Anchor": "unlearn.anchors.dictionary",
    "AnchorDraft": "unlearn.anchors.dictionary",
    "AnchorDictionary": "unlearn.anchors.dictionary",
    "Corpus": "unlearn.corpus.corpus",
    "Document": "unlearn.corpus.corpus",
    "Endpoint": "unlearn.chat",
    "LabelSettings": "unlearn.settings",
    "METHODS": "unlearn.registry",
    "Method": "unlearn.registry",
    "Recipe": "unlearn.recipe",
    "Retain": "unlearn.settings",
    "Training": "unlearn.settings",
    "contrast_anchors": "unlearn.anchors.contrast.contrast",
    "fine_tune": "unlearn.training.fine_tune",
    "generic_logits": "unlearn.labels.formula",
    "language_model_anchors": "unlearn.anchors.language_model",
    "load_unlearned": "unlearn.methods.live",
    "make_labels": "unlearn.labels.dataset",
    "recipes_dir": "unlearn.files",
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
