"""A world small enough to be learnt, and forgotten, in minutes on two cores; and so that it proves something (docs/miniature.md).

* names, world: people, places and facts; what is unlearnt;
* stories, library: facts -> stories, the target's and the rest's;
* settings, pretrain, train: stories -> a baseline that knows the target and twins that do not (`prepare`);
* translations: the target's anchor dictionary;
* probes, utility, tasks: prompt files -> lm-eval tasks in the miniature's language (`miniature_tasks`); panel: the panel in it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hp_bench.miniature.settings import Settings
    from hp_bench.miniature.tasks import miniature_tasks
    from hp_bench.miniature.train import Miniature, load, prepare

__all__ = ["Miniature", "Settings", "load", "miniature_tasks", "prepare"]

_PUBLIC = {
    "Settings": "settings",
    "miniature_tasks": "tasks",
    "Miniature": "train",
    "load": "train",
    "prepare": "train",
}


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        from importlib import import_module

        return getattr(import_module(f"hp_bench.miniature.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module 'hp_bench.miniature' has no attribute {name!r}; public names: {', '.join(__all__)}")
