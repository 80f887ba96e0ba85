"""Generic labels the textbook way, for the rows that ours is measured against: docs/method.md written down plainly.

One block at a time, both full logit matrices, argmax. Hard labels, ReLU, raw logits, rules 1 and 2 with frequent tokens excepted.
"""

import re
from collections.abc import Sequence
from typing import Any

import torch

from unlearn import Anchor
from unlearn.labels.translate import draw


@torch.no_grad()
def textbook_labels(
    baseline: Any,
    reinforced: Any,
    tokenizer: Any,
    texts: Sequence[str],
    anchors: Sequence[Anchor],
    frequent: frozenset[int],
    *,
    alpha: float = 5.0,
) -> list[list[int]]:
    """The label column of each block."""
    by_name = {anchor.anchor: anchor for anchor in anchors}
    pattern = re.compile(r"\b(?:" + "|".join(map(re.escape, sorted(by_name, key=len, reverse=True))) + r")\b")
    columns = []
    for number, text in enumerate(texts):
        pieces, replaced, position = [], [], 0
        length = 0
        for match in pattern.finditer(text):
            anchor = by_name[match.group()]
            index = draw(0, "prose", number, anchor.key, len(anchor.translations))
            pieces += [text[position : match.start()], anchor.translations[index]]
            length += match.start() - position
            replaced.append((match.start(), match.end(), length, length + len(pieces[-1]), anchor, pieces[-1]))
            length, position = length + len(pieces[-1]), match.end()
        translated = "".join([*pieces, text[position:]])
        ours = tokenizer(text, return_offsets_mapping=True)
        theirs = tokenizer(translated, return_offsets_mapping=True)
        mapping = _mapping(text, ours["offset_mapping"], theirs["offset_mapping"], replaced)

        b = baseline(input_ids=torch.tensor([theirs["input_ids"]])).logits[0].float()
        r = reinforced(input_ids=torch.tensor([ours["input_ids"]])).logits[0].float()
        mean, used = b.mean(dim=-1), set()
        for _, _, start, end, _, translation in replaced:
            if translation in used:
                continue
            used.add(translation)
            last = max(j for j, (s, e) in enumerate(theirs["offset_mapping"]) if s < end and e > start)
            for token in _first_tokens(tokenizer, translation) - frequent:
                b[last:, token] = mean[last:]
        source, target = list(mapping), list(mapping.values())
        b, r = b[target], r[source]
        found = (b - alpha * torch.relu(r - b)).argmax(dim=-1).tolist()
        column = [-100] * len(ours["input_ids"])
        for i, label in zip(source, found, strict=True):
            column[i + 1] = label
        columns.append(column)
    return columns


def _mapping(text: str, ours: list[Any], theirs: list[Any], replaced: list[Any]) -> dict[int, int]:
    """Kept source position -> position of the translated block: mapping by prefix, and rule 1."""
    ends = {end: j for j, (_, end) in enumerate(theirs)}
    left_out, seen = set(), set()
    for start, end, _, _, anchor, _ in replaced:
        if anchor.key in seen:
            while start > 0 and text[start - 1].isspace():
                start -= 1
            left_out |= {i - 1 for i, (s, e) in enumerate(ours) if s < end and e > start}
        seen.add(anchor.key)
    mapping, shift, following = {}, 0, 0
    for i, (_, end) in enumerate(ours[:-1]):
        while following < len(replaced) and replaced[following][1] <= end:
            shift = replaced[following][3] - replaced[following][1]
            following += 1
        inside = following < len(replaced) and replaced[following][0] < end
        if not inside and i not in left_out and end + shift in ends:
            mapping[i] = ends[end + shift]
    return mapping


def _first_tokens(tokenizer: Any, translation: str) -> set[int]:
    """First token of a translation after a space and after a newline."""
    first = set()
    for before in ("a ", "a\n"):
        found = tokenizer(before + translation, add_special_tokens=False, return_offsets_mapping=True)
        covering = [t for t, (s, e) in zip(found["input_ids"], found["offset_mapping"], strict=True) if s <= 2 < e]
        first |= set(covering[:1])
    return first
