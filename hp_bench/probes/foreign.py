"""Prompt files as people have them: read as far as they can be, and what had to be changed is counted and said."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hp_bench.probes.rows import Probe, load_probes
from hp_bench.text.counted import counted
from hp_bench.text.records import read_records
from hp_bench.text.terms import words

#: No text holds it: the reference of a prompt that has none. The judge then goes by the lexicon alone.
NO_REFERENCE = "\x00"

#: What is counted of prompts without one.
LEXICON_ALONE = "{} prompt[|s] without a reference judged by the lexicon alone"

_KINDS = ("partial", "overt", "covert")


def read_probes(path: Path | str) -> tuple[list[Probe], str]:
    """The prompts of a familiarity file, in our form or in that of the paper's authors, and a sentence on what was changed in them, or "".

    The authors' form is a JSON list of `{"prompt": {"prompt", "references", "subtlety"}}`. References that stand in their prompt are
    dropped, double prompts are asked once, white space at a prompt's end is cut, and lines that are no prompt are left out.

    Raises ValueError: the file cannot be read, or holds not one prompt; the message is that of `load_probes`.
    """
    probes: dict[str, Probe] = {}
    changes: Counter[str] = Counter()
    records = [record for record in read_records(path) if not record.blank]
    for number, record in enumerate(records, 1):
        probe = _probe(record.fields or {}, number, changes)
        if probe is None:
            why = ", not being UTF-8 text" * ("UTF-8" in record.problem)
            changes[f"{{}} line[|s] that [is|are] no prompt left out{why}"] += 1
        elif probe.prompt in probes:
            changes["{} double prompt[|s] asked once"] += 1
        else:
            probes[probe.prompt] = probe
    if not probes:
        return load_probes(path), ""  # which says what is wrong
    ids = Counter(probe.id for probe in probes.values())
    named = [p if ids[p.id] == 1 else replace(p, id=f"{p.id}-{n}") for n, p in enumerate(probes.values(), 1)]
    return named, ", ".join(counted(sentence, count) for sentence, count in changes.items())


def _probe(row: Mapping[str, Any], number: int, changes: Counter[str]) -> Probe | None:
    if isinstance(row.get("prompt"), Mapping):
        row = row["prompt"]
    prompt, given = row.get("prompt"), row.get("references") or []
    if not isinstance(prompt, str) or not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        return None
    if "specific" in row:
        return None
    fields = {
        "kind": row["kind"] if row.get("kind") in _KINDS else "partial", "subtlety": row.get("subtlety", 5),
        "topic": str(row.get("topic", "")), "fame": row.get("fame"), "form": str(row.get("form", "")),
    }  # fmt: skip
    try:
        return lenient_probe(str(row.get("id") or f"prompt-{number:03}"), prompt, given, changes, **fields)
    except ValueError:
        return None


def lenient_probe(id: str, prompt: str, given: Sequence[str], changes: Counter[str], **fields: Any) -> Probe:
    """A prompt with the references that can count; what had to be changed is added to `changes`, by the words that say it.

    Raises ValueError: the prompt is empty, or something is no value of its field.
    """
    told = set(words(prompt))
    references = [one for one in given if one.strip() and not any(len(w) >= 4 and w in told for w in words(one))]
    probe = stand_in(id, prompt.rstrip(), references, **fields)
    changes["{} reference[|s] that stand[s|] in [its|their] prompt dropped"] += len(given) - len(references)
    changes[LEXICON_ALONE] += not references
    changes["white space cut from the end of {} prompt[|s]"] += prompt != probe.prompt
    for empty in [key for key, count in changes.items() if not count]:
        del changes[empty]
    return probe


def stand_in(id: str, prompt: str, references: Sequence[str] = (), **fields: Any) -> Probe:
    """A probe of a prompt of which less may be known than of ours, its references least."""
    known = {"kind": "partial", "subtlety": 5, "topic": "", **fields}
    return Probe(id, prompt, tuple(references) or (NO_REFERENCE,), **known)
