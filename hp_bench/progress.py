"""What libraries say: lm-eval's bars become rows of our progress display, and the rest is silenced."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from unlearn.progress import current_display, progress_row

_HOST_MODULES = ("lm_eval.models.huggingface", "lm_eval.api.task", "lm_eval.api.model")


@contextmanager
def quiet_host(least: int = logging.WARNING) -> Iterator[None]:
    """Silences lm-eval's logging below a level and turns its tqdm bars into rows of the current progress display."""
    import sys

    with ExitStack() as restored:
        for logger in (logging.getLogger(name) for name in ("lm_eval", "lm-eval")):
            restored.callback(logger.setLevel, logger.level)
            logger.setLevel(max(least, logger.level))
        for module in (sys.modules[name] for name in _HOST_MODULES if hasattr(sys.modules.get(name), "tqdm")):
            restored.callback(setattr, module, "tqdm", module.tqdm)
            module.tqdm = _Row  # type: ignore[attr-defined]
        yield


class _Row:
    """As much of tqdm as lm-eval uses, drawn as a row of the current rich display."""

    def __init__(
        self, iterable: Any = None, *, total: Any = None, desc: str = "", disable: bool = False, **_: Any
    ) -> None:
        self._iterable, self._shown = iterable, ExitStack()
        self.update: Callable[..., None] = lambda *_: None
        if not disable and current_display.get():
            total = total if total is not None else len(iterable) if hasattr(iterable, "__len__") else None
            self.update = self._shown.enter_context(progress_row(f"  {desc or 'prompts'}", total))
        self.close = self._shown.close

    def __iter__(self) -> Iterator[Any]:
        for item in self._iterable:
            yield item
            self.update()
        self.close()


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No bar and no table of missing weights: what is wrong is said in one sentence."""
    from transformers.utils import logging

    with ExitStack() as restored:
        restored.callback(logging.set_verbosity, logging.get_verbosity())
        if logging.is_progress_bar_enabled():
            restored.callback(logging.enable_progress_bar)
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        yield


def quiet_libraries() -> None:
    """Silences transformers, datasets and torch, unless the user's environment says otherwise; before they are imported."""
    import os
    import warnings

    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore", module="torch")


def quiet_imports() -> None:
    """Silences what lm-eval's imports say about parts that they lack and we do not use; before the first of them, in every process."""
    for talkative in ("torchao", "torch.utils._pytree"):
        logging.getLogger(talkative).setLevel(logging.ERROR)
