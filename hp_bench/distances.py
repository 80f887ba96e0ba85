"""How far a model's next-word distribution is from a twin's: the truth that familiarity only approximates.

A twin has read everything but the target. KL(twin || model) over a text, less what twins differ by among themselves, is 0 for a model
that is as near as another twin.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from hp_bench.progress import progress_bars
from hp_bench.statistics import mean_interval

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
        low: lower end of the value's 95 % interval (bootstrap over texts); of `raw` without a second twin.
        high: upper end.
    """

    name: str
    text: str
    raw: float
    low: float
    high: float
    value: float | None = None
    between_twins: float | None = None


def distances(
    models: Mapping[str, Path | str],
    twins: Sequence[Path | str],
    texts: Mapping[str, Sequence[str]],
    *,
    device: str = "cpu",
) -> list[Distance]:
    """Every model's distance to the twins on every kind of text.

    Args:
        models: name -> folder; all with the twins' tokenizer.
        twins: folders; at least one.
        texts: kind -> texts. Every token after the first of each counts.
        device: cpu, cuda or mps.

    Raises:
        ValueError: there is no twin.
    """
    if not twins:
        raise ValueError("a distance to the twins needs at least one twin")
    tokenizer = AutoTokenizer.from_pretrained(twins[0])
    with progress_bars() as bars:
        row = bars.add_task("distances to the twins", total=len(texts) * (len(twins) + len(models)))
        found = []
        for kind, chosen in texts.items():
            references = []
            for twin in twins:
                references.append(_log_probabilities(twin, tokenizer, chosen, device))
                bars.advance(row)
            pairs = [_divergence(a, b) for a, b in permutations(references, 2)]
            between = np.mean(pairs, axis=0) if pairs else None
            for name, model in models.items():
                other = _log_probabilities(model, tokenizer, chosen, device)
                to_twins = np.mean([_divergence(reference, other) for reference in references], axis=0)
                found.append(_distance(name, kind, to_twins, between))
                bars.advance(row)
        bars.remove_task(row)
    return found


def _distance(name: str, kind: str, to_twins: NDArray[np.float64], between: NDArray[np.float64] | None) -> Distance:
    raw = float(to_twins.mean())
    each = to_twins if between is None else to_twins - between
    interval = mean_interval(each, low=-_LARGEST, high=_LARGEST)
    if between is None:
        return Distance(name, kind, raw, interval.low, interval.high)
    return Distance(name, kind, raw, interval.low, interval.high, float(each.mean()), float(between.mean()))


def _divergence(reference: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> NDArray[np.float64]:
    """KL(reference || other) of each text, nats a token, (texts,)."""
    return np.array([float((p.exp() * (p - q)).sum(-1).mean()) for p, q in zip(reference, other, strict=True)])


@torch.inference_mode()
def _log_probabilities(
    model: Path | str, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], device: str
) -> list[torch.Tensor]:
    """Log-probabilities of the next token at every place of each text but its last, (T - 1, V), float32."""
    loaded: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    loaded.to(device).eval()
    found: dict[int, torch.Tensor] = {}
    encoded = [tokenizer(text)["input_ids"] for text in texts]
    for rows in _batches(encoded):
        longest = max(len(encoded[row]) for row in rows)
        pad = tokenizer.pad_token_id or 0
        ids = torch.tensor([[*encoded[row], *[pad] * (longest - len(encoded[row]))] for row in rows], device=device)
        logits = loaded(input_ids=ids, use_cache=False).logits
        for place, row in enumerate(rows):
            found[row] = logits[place, : len(encoded[row]) - 1].log_softmax(-1).cpu()
    return [found[row] for row in range(len(texts))]


def _batches(encoded: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Rows of like length together."""
    order = sorted(range(len(encoded)), key=lambda row: len(encoded[row]))
    for start in range(0, len(order), _BATCH):
        yield order[start : start + _BATCH]
