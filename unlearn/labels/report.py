"""What happened while labels were made, counted."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class LabelReport:
    """What happened while labels were made; counts add up over blocks, batches and ranks.

    Attributes:
        blocks: labelled.
        positions: that predict a token of their block.
        kept: of those, mapped to a position of the translated block, or read behind one, and not left out by rule 1.
        repeated: left out by rule 1.
        anchors: occurrences, those that end a block left out.
        anchors_kept: of those, whose end is mapped.
        changed: kept positions whose label differs from the baseline's own argmax on the translated block, first alpha.
        gauge_checked: kept positions at which both gauges were tried.
        gauge_differs: of those, labels that differ between `raw` and `log_softmax`, first alpha.
        excepted: forbidden ids that were frequent tokens of the target, one count a translation and block.
        lost: why anchor ends were not mapped.
    """

    blocks: int = 0
    positions: int = 0
    kept: int = 0
    repeated: int = 0
    anchors: int = 0
    anchors_kept: int = 0
    changed: int = 0
    gauge_checked: int = 0
    gauge_differs: int = 0
    excepted: int = 0
    lost: Counter[str] = field(default_factory=Counter)

    def add(self, other: "LabelReport") -> None:
        """Adds another report's counts."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    @classmethod
    def read(cls, path: Path) -> "LabelReport":
        """From JSON, as `to_dict` gives it."""
        counts = json.loads(path.read_text())
        return cls(**{**counts, "lost": Counter(counts["lost"])})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**vars(self), "lost": dict(sorted(self.lost.items()))}

    def warnings(self) -> list[str]:
        """Sentences about shares below 95 %."""
        said = []
        for what, kept, total in (
            ("positions", self.kept + self.repeated, self.positions),
            ("anchor ends", self.anchors_kept, self.anchors),
        ):
            if total and kept < 0.95 * total:
                causes = "; ".join(f"{cause} ({count})" for cause, count in self.lost.most_common(3))
                causes = causes or "tokens that differ in the two texts"
                said.append(f"only {kept / total:.1%} of {what} could be mapped; commonest causes: {causes}")
        return said
