"""Files of completions, ours, lm-eval's or made elsewhere -> samples. A row that cannot be graded is a sample that says why."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hp_bench.text.counted import counted
from hp_bench.text.records import Record, read_records

#: What is read of a row -> the names under which it is looked for, the likeliest first. The last two completions are ours and lm-eval's.
NAMES: Mapping[str, tuple[str, ...]] = {
    "prompt": ("prompt", "raw_question", "question", "input"),
    "completion": ("completion", "response", "output", "generation", "answer", "responses", "resps"),
    "references": ("references",),
    "grade": ("model_grade", "grade"),
}

_SLICES = ("kind", "subtlety", "topic")

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # half a character, where a text was cut


@dataclass(frozen=True)
class Sample:
    """A completion, or a row of a file of them that holds none.

    Attributes:
        id: of the prompt; of a row that cannot be read, its place.
        prompt: raw, without any chat template.
        completion: None if there is none.
        slices: the prompt's kind, subtlety and topic, where known.
        references: the row's own.
        grade: the row's own, as it stands there; None if it has none.
        problem: why the row cannot be graded; "" if it can, and of a completion that an engine did not return.
        place: for messages: "line 5".
    """

    id: str
    prompt: str
    completion: str | None
    slices: Mapping[str, Any]
    references: tuple[str, ...] = ()
    grade: Any = None
    problem: str = ""
    place: str = ""


def read_samples(
    path: Path, names: Mapping[str, str] | None = None, prompts: Mapping[str, str] | None = None
) -> tuple[list[Sample], list[str]]:
    """The completions of a file, in its order, and sentences on how it was read.

    `names`: key of `NAMES` -> the one name to look under instead, dotted if it is further down (`choices.0.text`); `prompts`: id -> prompt,
    for rows that have that id and no prompt. Raises ValueError: the file cannot be read, or not one of its rows.
    """
    records = read_records(path)
    rows = [record for record in records if not record.blank]
    if not rows:
        raise ValueError(f"{str(path)!r} holds no completions")
    taken: Counter[str] = Counter()
    samples = [sample for record in rows for sample in _samples(record, names or {}, prompts or {}, taken)]
    if all(sample.problem for sample in samples):
        raise ValueError(f"{path}: not one row is a prompt with a completion; {samples[0].place}: {samples[0].problem}")
    said = [*taken] if len(taken) == 1 else [counted(f"{{}} row[|s]: {how}", n) for how, n in taken.most_common()]
    blank = len(records) - len(rows)
    return samples, [*said, *([counted("{} blank line[|s] passed over", blank)] if blank else [])]


class _Unfit(ValueError):
    """Why a row cannot be graded."""


def _samples(record: Record, names: Mapping[str, str], prompts: Mapping[str, str], taken: Counter[str]) -> list[Sample]:
    """One for each completion of a row."""
    row = record.fields
    if row is None:
        return [Sample(record.place, "", None, {}, problem=record.problem, place=record.place)]
    prompt, problem = "", ""
    completions: list[str | None] = [None]
    id = next((value for name in ("id", "doc_id") for _, value in _found(row, (name,))), record.place)
    try:
        if str(id) in prompts and not any(True for _ in _look(row, "prompt", names)):
            row = {**row, "the prompt file (by id)": prompts[str(id)]}
            names = {**names, "prompt": "the prompt file (by id)"}
        prompt_at, value = _wanted(row, "prompt", names)
        prompt = _text(value, "prompt")
        if not prompt.strip():
            raise _Unfit("its prompt is empty")
        completion_at, value = _wanted(row, "completion", names)
        value = _alone(value)
        several = [_alone(one) for one in value] if isinstance(value, list) and value else [value]
        completions = [None if one is None else _text(one, "completion") for one in several]
        taken[f"prompts from {prompt_at}, completions from {completion_at}"] += 1
    except _Unfit as error:
        problem = str(error)
    first = Sample(
        (str(id) if prompt else "") or record.place, prompt, None,
        {name: value for name in _SLICES for _, value in _found(row, (name,))},
        _references(next((value for _, value in _look(row, "references", names)), ())),
        next((value for _, value in _look(row, "grade", names)), None), problem, record.place,
    )  # fmt: skip
    return [replace(first, completion=completion) for completion in completions]


def _wanted(row: Mapping[str, Any], what: str, names: Mapping[str, str]) -> tuple[str, Any]:
    for found in _look(row, what, names):
        return found
    sought = f"nothing is called {names[what]}" if what in names else f"no {what}; --field {what}=NAME names it"
    raise _Unfit(f"{sought}; there are {', '.join(map(str, row)) or 'no fields'}")


def _look(row: Mapping[str, Any], what: str, names: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    return _at(row, names[what]) if what in names else _found(row, NAMES[what])


def _at(row: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """What stands at a dotted path, if anything does."""
    if path in row:
        yield path, row[path]
        return
    value: Any = row
    for step in path.split("."):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return
    yield path, value


def _found(row: Mapping[str, Any], names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """What stands under some names, the likeliest first: in the row, in an object under such a name, then in any object of the row."""
    inner = {key: value for key, value in row.items() if isinstance(value, Mapping)}
    for name in names:
        if name in row and name not in inner:
            yield name, row[name]
        yield from ((f"{name}.{deep}", inner[name][deep]) for deep in names if name in inner and deep in inner[name])
    yield from ((f"{key}.{name}", value[name]) for key, value in inner.items() for name in names if name in value)


def _alone(value: Any) -> Any:
    """What lists of one hold: lm-eval has each completion in two of them."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


def _text(value: Any, what: str) -> str:
    if isinstance(value, list | Mapping):
        kind = "list" if isinstance(value, list) else "object"
        raise _Unfit(f"its {what} is a {kind}; --field {what}=NAME.0.content, or a name like it, names the text in it")
    if not isinstance(value, str):
        raise _Unfit(f"its {what} is no text")
    return _LONE_SURROGATE.sub("\ufffd", value)


def _references(value: Any) -> tuple[str, ...]:
    """References as a list, as a list that was written into a CSV cell, or as one text."""
    if isinstance(value, str):
        try:
            read = ast.literal_eval(value)
        except (ValueError, SyntaxError, RecursionError):
            read = value
        value = read if isinstance(read, list) else [value]
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
