"""Makes plain `lm_eval --tasks hp_familiarity` find our tasks, until lm-eval discovers task packages itself.

Imported at interpreter start by `hp_bench_autoload.pth`, so: standard library only, nothing done but a hook set. The hook waits
until `lm_eval.tasks._index` is imported and then adds our folder to the paths that lm-eval scans, right behind its own, so that a
user's `--include_path` still wins. It stands down when the paths already hold our tasks (the `lm_eval.tasks` entry point of
PR #4015, or an explicit `--include_path`), when the caller asked for no default tasks, and when HP_BENCH_NO_AUTOLOAD is set.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType
    from typing import Any

_TARGET = "lm_eval.tasks._index"
_OFF = "HP_BENCH_NO_AUTOLOAD"


def install() -> None:
    """Sets the import hook; a no-op when switched off, set already, or when lm-eval is loaded already (then wraps at once)."""
    if os.environ.get(_OFF):
        return
    if _TARGET in sys.modules:
        _wrap(sys.modules[_TARGET])
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds one module, the way everybody else would, and has it wrapped after it ran."""

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> Any:
        if fullname != _TARGET:
            return None
        import importlib.util

        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                run(module)
                _wrap(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _wrap(module: ModuleType) -> None:
    """Adds our folder to what `TaskIndex.build` scans; any surprise is a warning, never a broken host."""
    try:
        from pathlib import Path

        index = module.TaskIndex
        original = index.build
        if getattr(original, "_hp_bench", False):
            return

        def build(paths: Any, **options: Any) -> Any:
            return original(_with_ours(list(paths), Path(module.__file__ or "").parent), **options)

        build._hp_bench = True  # type: ignore[attr-defined]
        index.build = staticmethod(build)
    except Exception as error:
        _warn(error)


def _with_ours(paths: list[Any], defaults: Path) -> list[Any]:
    try:
        from pathlib import Path

        from hp_bench.probes.paths import tasks_dir

        ours = tasks_dir().resolve()
        known = [Path(path).resolve() for path in paths]
        if any(path == ours or path in ours.parents for path in known) or defaults.resolve() not in known:
            return paths
        behind = known.index(defaults.resolve()) + 1
        return [*paths[:behind], ours, *paths[behind:]]
    except Exception as error:
        _warn(error)
        return paths


def _warn(error: Exception) -> None:
    import warnings

    warnings.warn(
        f'hp-bench could not register its tasks with lm-eval ({error!r}); use lm_eval --include_path "$(hp-bench tasks --path)"',
        stacklevel=2,
    )
