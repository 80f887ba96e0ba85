"""A world small enough to be learnt, and forgotten, in minutes on two cores; and so that it proves something (docs/miniature.md).

* names, world: people, places and facts; what is unlearnt;
* stories, library: facts -> stories, the target's and the rest's;
* settings, pretrain, train: stories -> a baseline that knows the target and twins that do not (`prepare`);
* translations: the target's anchor dictionary;
* probes, utility, tasks: prompt files -> lm-eval tasks in the miniature's language (`miniature_tasks`); panel: the panel in it.
"""

from typing import Any

_PUBLIC = {
    "Miniature": "train",
    "Settings": "settings",
    "load": "train",
    "miniature_tasks": "tasks",
    "prepare": "train",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        from importlib import import_module

        return getattr(import_module(f"hp_bench.miniature.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module 'hp_bench.miniature' has no attribute {name!r}; public names: {', '.join(__all__)}")
