"""Rule 2 on a batch: which logits of the baseline are forbidden, or change places, at which kept positions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unlearn.labels.align import Aligned
from unlearn.labels.formula import exchange, forbid


@dataclass(frozen=True)
class RuleTwo:
    """What rule 2 does at the kept positions of a batch: entries of a row (a kept position, over the whole batch, rising) and a token id.

    `partners`: the ids that they change places with; None: they are forbidden. (P,) all.
    """

    rows: NDArray[np.int64]
    ids: NDArray[np.int64]
    partners: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, batch: Sequence[Aligned]) -> "RuleTwo":
        """Of blocks whose kept positions stand one behind the other."""
        found: list[tuple[NDArray[np.int64], int, int]] = []
        offset = 0
        for item in batch:
            for position, pairs in item.rules:
                first = int(np.searchsorted(item.prefix_positions, position, side="left"))
                active = np.arange(first, len(item.prefix_positions)) + offset
                found += [(active, token, partner) for token, partner in pairs]
            offset += len(item.prefix_positions)
        if not found:
            return cls(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
        rows = np.concatenate([active for active, _, _ in found])
        counts = [len(active) for active, _, _ in found]
        ids, partners = (np.repeat([entry[n] for entry in found], counts) for n in (1, 2))
        order = np.argsort(rows, kind="stable")
        return cls(rows[order], ids[order], partners[order] if (partners >= 0).any() else None)

    def within(self, part: slice) -> "RuleTwo":
        """Of a chunk of the kept positions, its rows counted from its beginning."""
        low, high = np.searchsorted(self.rows, [part.start, part.stop])
        partners = None if self.partners is None else self.partners[low:high]
        return RuleTwo(self.rows[low:high] - part.start, self.ids[low:high], partners)

    def apply(self, baseline: Tensor) -> Tensor:
        """To the baseline's logits at these positions, (N, V), gauge applied; in place."""
        rows, ids = torch.from_numpy(self.rows).to(baseline.device), torch.from_numpy(self.ids).to(baseline.device)
        if self.partners is None:
            return forbid(baseline, rows, ids)
        return exchange(baseline, rows, ids, torch.from_numpy(self.partners).to(baseline.device))
