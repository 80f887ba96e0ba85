"""How far a model's next-word distribution is from a twin's: the truth that familiarity only approximates.

A twin has read everything but the target. KL(twin || model) over a text, less what twins differ by among themselves, is 0 for a model
that is as near as another twin.
"""

import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import ks_2samp
from transformers import AutoModelForCausalLM, AutoTokenizer

from hp_bench.results.statistics import mean_interval
from unlearn.cpu import quicken
from unlearn.progress import progress_row

_BATCH = 32

#: Nats a token; for an interval's end where all texts agree.
_LARGEST = 30.0


@dataclass(frozen=True)
class Distance:
    """How far a model is from the twins on a kind of text, in nats a token.

    Attributes:
        name: of the model.
        text: which text: target or rest.
        raw: mean over twins and texts of KL(twin || model).
        between_twins: mean over ordered pairs of twins of KL(twin || other twin); None without a second twin.
        value: `raw - between_twins`; 0 = as near as another twin; None without a second twin.
        low, high: the ends of the value's 95 % interval (bootstrap over texts); of `raw` without a second twin.
    """

    name: str
    text: str
    raw: float
    low: float
    high: float
    value: float | None = None
    between_twins: float | None = None


@dataclass(frozen=True)
class TwinDistance:
    """How far a model is from the twins on a kind of text, with what it was computed from.

    Attributes:
        distance: by the divergence of next-word distributions.
        each: KL(twin || model) of each text, mean over twins, nats a token: what paired comparisons of models need.
        ks: two-sample Kolmogorov-Smirnov statistic between the model's and a twin's losses on the texts (nats a token), mean over twins;
            0 to 1, 0 = the same losses.
        ks_between_twins: the same of two twins, mean over pairs; None without a second twin.
    """

    distance: Distance
    each: tuple[float, ...]
    ks: float
    ks_between_twins: float | None = None


class TwinDistances:
    """The twins' distributions over texts, held so that many models can be compared with them.

    Args:
        twins: folders; at least one.
        texts: kind -> texts. Every token after the first of each counts.

    Raises ValueError: there is no twin.
    """

    def __init__(self, twins: Sequence[Path | str], texts: Mapping[str, Sequence[str]]) -> None:
        if not twins:
            raise ValueError("a distance to the twins needs at least one twin")
        tokenizer = AutoTokenizer.from_pretrained(twins[0])
        self._pad = tokenizer.pad_token_id or 0
        self._encoded = {kind: [tokenizer(text)["input_ids"] for text in chosen] for kind, chosen in texts.items()}
        self._twins: dict[str, list[_Texts]] = {kind: [] for kind in texts}
        with progress_row("the twins' distributions", len(twins)) as advance:
            for twin in twins:
                for kind, theirs in self._read(twin, lambda kind, row, log: _held(log)).items():
                    self._twins[kind].append(theirs)
                advance()
        self._between: dict[str, tuple[NDArray[np.float64], float] | None] = dict.fromkeys(texts)
        for kind, everyone in self._twins.items() if len(twins) > 1 else ():
            pairs = [(a.kept, b.kept) for a, b in permutations(everyone, 2)]
            divergences = [[_divergence(p, q) for p, q in zip(*pair, strict=True)] for pair in pairs]
            apart = [_ks(a, b) for a, b in combinations(everyone, 2)]
            self._between[kind] = np.mean(divergences, axis=0), float(np.mean(apart))

    def of(self, name: str, model: Path | str | torch.nn.Module, *, leave_out: int | None = None) -> list[TwinDistance]:
        """A model's distance to the twins on every kind of text; it is in a folder, or live on the CPU, and of the twins' vocabulary.

        `leave_out`: index of a twin not to compare with: of the model itself, where it is a twin. Raises ValueError: no twin is left.
        """
        others = {kind: [t for n, t in enumerate(twins) if n != leave_out] for kind, twins in self._twins.items()}
        if not all(others.values()):
            raise ValueError(f"{name} is the only twin: there is none to compare it with")
        read = self._read(model, lambda kind, row, log: [_divergence(twin.kept[row], log) for twin in others[kind]])
        return [self._of(name, kind, found, others[kind]) for kind, found in read.items()]

    def _of(self, name: str, kind: str, model: "_Texts", twins: Sequence["_Texts"]) -> TwinDistance:
        each = np.mean(np.transpose(model.kept), axis=0)
        ks = float(np.mean([_ks(twin, model) for twin in twins]))
        between, apart = self._between[kind] or (None, None)
        beyond = each if between is None else each - between
        interval = mean_interval(beyond, low=-_LARGEST, high=_LARGEST)
        numbers = (None, None) if between is None else (float(beyond.mean()), float(between.mean()))
        distance = Distance(name, kind, float(each.mean()), interval.low, interval.high, *numbers)
        return TwinDistance(distance, tuple(map(float, each)), ks, apart)

    @torch.inference_mode()
    def _read(self, model: Path | str | torch.nn.Module, keep: Callable[..., Any]) -> dict[str, "_Texts"]:
        loaded: Any = model
        if not isinstance(model, torch.nn.Module):
            loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
        quicken(loaded.eval())
        return {kind: self._read_kind(loaded, encoded, partial(keep, kind)) for kind, encoded in self._encoded.items()}

    def _read_kind(self, model: Any, encoded: Sequence[Sequence[int]], keep: Callable[..., Any]) -> "_Texts":
        texts = _Texts([None] * len(encoded), [math.nan] * len(encoded))
        by_length = sorted(range(len(encoded)), key=lambda row: len(encoded[row]))
        for start in range(0, len(by_length), _BATCH):
            rows = by_length[start : start + _BATCH]
            longest = len(encoded[rows[-1]])
            ids = [[*encoded[row], *[self._pad] * (longest - len(encoded[row]))] for row in rows]
            logits = model(input_ids=torch.tensor(ids), use_cache=False).logits
            for index, row in enumerate(rows):
                log = logits[index, : len(encoded[row]) - 1].log_softmax(-1)
                texts.kept[row] = keep(row, log=log)
                texts.losses[row] = -float(log.gather(1, torch.tensor(encoded[row][1:])[:, None]).mean())
        return texts


@dataclass(frozen=True)
class _Texts:
    """A model on texts: what is kept of each text's log-probabilities of the next tokens, and the loss in nats a token."""

    kept: list[Any]
    losses: list[float]


def _held(log: torch.Tensor) -> torch.Tensor:
    """The same tensor, (T - 1, V), in a file without a name where there is room for one: many texts' are larger than memory."""
    with tempfile.NamedTemporaryFile() as file:
        try:
            os.posix_fallocate(file.fileno(), 0, log.nbytes)
        except (AttributeError, OSError):
            return log
        return torch.from_file(file.name, shared=True, size=log.numel(), dtype=log.dtype).view_as(log).copy_(log)


def distances(
    models: Mapping[str, Path | str], twins: Sequence[Path | str], texts: Mapping[str, Sequence[str]]
) -> list[Distance]:
    """Every model's distance to the twins on every kind of text; `models` are folders by name, the rest is as for `TwinDistances`."""
    held, rows = TwinDistances(twins, texts), []
    with progress_row("distances to the twins", len(models)) as advance:
        for name, model in models.items():
            rows += [one.distance for one in held.of(name, model)]
            advance()
    return sorted(rows, key=lambda one: list(texts).index(one.text))


def _divergence(reference: torch.Tensor, other: torch.Tensor) -> float:
    """KL(reference || other) of a text, nats a token."""
    return float((reference.exp() * (reference - other)).sum(-1).mean())


def _ks(a: _Texts, b: _Texts) -> float:
    return float(ks_2samp(a.losses, b.losses).statistic)
