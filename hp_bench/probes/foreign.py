"""Prompt files as people have them: read as far as they can be, and what had to be changed is counted and said."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hp_bench.probes.rows import Probe, load_probes
from hp_bench.text.terms import words

#: No text holds it: the reference of a prompt that has none. The judge then goes by the lexicon alone.
NO_REFERENCE = "\x00"

_KINDS = ("partial", "overt", "covert")


def read_probes(path: Path | str) -> tuple[list[Probe], str]:
    """The prompts of a familiarity file, in our form or in that of the paper's authors, and what was changed in them.

    The authors' form is a JSON list of `{"prompt": {"prompt", "references", "subtlety"}}`. References that stand in their prompt are
    dropped, double prompts are asked once, white space at a prompt's end is cut, and lines that are no prompt are left out.

    Returns:
        The prompts, and one sentence on what was changed; "" if nothing was.

    Raises:
        ValueError: the file cannot be read, or holds not one prompt; the message is that of `load_probes`.
    """
    probes: dict[str, Probe] = {}
    changes: Counter[str] = Counter()
    for number, row in enumerate(_rows(Path(path)), 1):
        probe = _probe(row, number, changes)
        if probe is None:
            changes["{} lines that are no prompt left out"] += 1
        elif probe.prompt in probes:
            changes["{} double prompts asked once"] += 1
        else:
            probes[probe.prompt] = probe
    if not probes:
        return load_probes(path), ""  # which says what is wrong
    ids = Counter(probe.id for probe in probes.values())
    named = [p if ids[p.id] == 1 else replace(p, id=f"{p.id}-{n}") for n, p in enumerate(probes.values(), 1)]
    return named, ", ".join(sentence.format(count) for sentence, count in changes.items())


def _rows(path: Path) -> Iterator[Any]:
    """The objects of a JSON list or of JSON lines; None for a line that is none. Blank lines do not count."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return
    if text.lstrip().startswith("["):
        try:
            content = json.loads(text)
        except ValueError:
            return
        yield from content
        return
    for line in filter(str.strip, text.splitlines()):
        try:
            yield json.loads(line)
        except ValueError:
            yield None


def _probe(row: Any, number: int, changes: Counter[str]) -> Probe | None:
    if isinstance(row, Mapping) and isinstance(row.get("prompt"), Mapping):
        row = row["prompt"]
    if not isinstance(row, Mapping) or not isinstance(row.get("prompt"), str) or not row["prompt"].strip():
        return None
    prompt = row["prompt"].rstrip()
    given = row.get("references") or ()
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
        return None
    told = set(words(prompt))
    references = [one for one in given if one.strip() and not any(len(w) >= 4 and w in told for w in words(one))]
    fields = {
        "id": str(row.get("id") or f"prompt-{number:03}"), "prompt": prompt, "references": tuple(references) or (NO_REFERENCE,),
        "kind": row["kind"] if row.get("kind") in _KINDS else "partial", "subtlety": row.get("subtlety", 5),
        "topic": str(row.get("topic", "")), "fame": row.get("fame"), "form": str(row.get("form", "")),
    }  # fmt: skip
    try:
        probe = Probe(**fields)
    except ValueError:
        return None
    changes["{} references that stand in their prompt dropped"] += len(given) - len(references)
    changes["{} prompts without a reference judged by the lexicon alone"] += not references
    changes["white space cut from the end of {} prompts"] += prompt != row["prompt"]
    for empty in [key for key, count in changes.items() if not count]:
        del changes[empty]
    return probe
