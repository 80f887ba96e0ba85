"""hp-bench: has this language model really forgotten?

Measures how familiar a causal language model is with an unlearn target (by default the Harry Potter books), the way
"Who's Harry Potter? Approximate Unlearning in LLMs" (arXiv:2310.02238) does, as lm-evaluation-harness tasks, with intervals.

Importing this package is free: every public name is loaded on first use.
"""

from __future__ import annotations

# The typing module is not worth its start-up time: this file runs in every interpreter, by way of the .pth.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Scorecard": "hp_bench.results.scorecard",
    "Measurement": "hp_bench.results.scorecard",
    "Probe": "hp_bench.probes.rows",
    "Lexicon": "hp_bench.text.terms",
    "LexiconJudge": "hp_bench.judges.lexicon",
    "score": "hp_bench.scoring.models",
    "curve": "hp_bench.curves.curve",
    "Curve": "hp_bench.results.curve",
    "stress_test": "hp_bench.stress.run",
    "FamiliarityCallback": "hp_bench.curves.callback",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        from importlib import import_module

        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'hp_bench' has no attribute {name!r}; public names: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
