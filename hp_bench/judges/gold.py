"""The gold set: completions whose grade people agree on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from hp_bench.familiarity import Grade
from hp_bench.jsonl import read_rows
from hp_bench.judges.rejudge import stand_in
from hp_bench.probes import Probe

Split = Literal["tuning", "test"]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class GoldRow:
    """A completion and its grade.

    Attributes:
        id: unique in its file.
        prompt: what the model was given.
        completion: what it wrote.
        grade: by the rubric.
        case: what makes it hard: plain, echo, other-fantasy, ...
        split: the half that judges are made with, or the half that they are measured on, once.
        source: who wrote the completion: a person, or a model.
        grades: of the independent graders, in their order.
        references: of the prompt, if it is in no prompt file.
    """

    id: str
    prompt: Annotated[str, Field(min_length=1)]
    completion: str
    grade: Grade
    case: str
    split: Split
    source: str = ""
    grades: tuple[Grade, ...] = ()
    references: tuple[str, ...] = ()


def load_gold(path: Path | str, split: Split | None = None) -> list[GoldRow]:
    """Reads a gold file, or one half of it.

    Raises:
        ValueError: a line is no gold row, an id is there twice, or the half is empty.
    """
    rows = read_rows(path, GoldRow, "a gold row")
    ids = [row.id for row in rows]
    twice = next((name for name in ids if ids.count(name) > 1), None) if len(set(ids)) < len(ids) else None
    if twice is not None:
        raise ValueError(f"{path}: id {twice!r} is there twice")
    found = [row for row in rows if split in (None, row.split)]
    if not found:
        raise ValueError(f"{str(path)!r} holds no rows{f' of split {split!r}' if rows else ''}")
    return found


def as_probes(rows: Sequence[GoldRow], probes: Sequence[Probe]) -> list[Probe]:
    """The rows' prompts as probes: those of a prompt file with its references, others with their own, or none."""
    known: Mapping[str, Probe] = {probe.prompt: probe for probe in probes}
    return [known.get(row.prompt) or stand_in(row.id, row.prompt, row.references) for row in rows]
