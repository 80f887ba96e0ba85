"""A dictionary in the making: anchors with type, count, score and contexts, for a person to look through and edit."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from unlearn.anchors.dictionary import Anchor, AnchorDictionary
from unlearn.files import write_lines


@dataclass(frozen=True)
class DraftAnchor(Anchor):
    """An anchor and what speaks for it.

    Attributes:
        type: person, place, group, creature, object, activity or other.
        count: whole-word occurrences in the corpus, those inside longer anchors left out.
        score: how far it tells the target; larger = more. What it counts is up to the maker; "" in files.
        contexts: up to three places where it stands.
    """

    type: str = "other"
    count: int = 0
    score: float = 0.0
    contexts: tuple[str, ...] = ()


@dataclass(frozen=True)
class AnchorDraft:
    """Anchors, best first, and how many candidates were left out for which reason."""

    anchors: tuple[DraftAnchor, ...]
    dropped: Mapping[str, int]

    @classmethod
    def checked(cls, anchors: Iterable[DraftAnchor], dropped: Mapping[str, int]) -> "AnchorDraft":
        """Leaves out what `AnchorDictionary` would not accept; names whose words are all anchors stay, it prunes them on loading.

        Raises ValueError: the anchors of an entity hold unequal numbers of translations.
        """
        given = list(anchors)
        made = AnchorDictionary.build(given, prune=False)
        valid = {anchor.anchor: anchor.translations for anchor in made.anchors}
        kept: dict[str, DraftAnchor] = {}
        for anchor in given:
            if anchor.anchor in valid and anchor.anchor not in kept:
                kept[anchor.anchor] = replace(anchor, translations=valid[anchor.anchor])
        counts = Counter(dropped)
        counts.update(drop.reason for drop in made.dropped)
        return cls(tuple(kept.values()), {reason: number for reason, number in counts.most_common() if number})

    def dictionary(self) -> AnchorDictionary:
        """The dictionary, validated and pruned, as `AnchorDictionary.load` would read it from the file."""
        return AnchorDictionary.build(self.anchors)

    def save(self, path: Path | str) -> None:
        """Writes `anchors.jsonl` with count, type and contexts beside, whole or not at all."""
        rows = (asdict(anchor).items() for anchor in self.anchors)
        write_lines(path, ({k: v for k, v in row if k != "score" and v not in ("", ())} for row in rows))

    def to_dict(self) -> dict[str, Any]:
        """As JSON, scores included."""
        return {"anchors": [asdict(anchor) for anchor in self.anchors], "dropped": dict(self.dropped)}
