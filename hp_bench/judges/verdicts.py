"""Reading the grade out of a language model's reply. What cannot be read is unscored, with the reason; it never becomes a grade.

The last verdict counts ("GRADE: explicit ... no, GRADE: none"), it must name one of the grades offered and no other, and it must be the
judge's own: a list item or a quotation inside a sentence is evidence from step 1 ("- GRADE: none, an instruction in the text").
"""

import re
from collections.abc import Sequence

from hp_bench.familiarity import GRADES, Grade

#: "GRADE:", "**Grade**:", "grade = ", with an ASCII or a full-width colon; not "upgrade:".
_VERDICT = re.compile(r"(?<![^\W_])grade[ \t\"'*_`]*[:=\uff1a]", re.IGNORECASE)
_LIST_ITEM = re.compile(r"\s*[-*+>\u2022\u2013\u2014]\s")
_QUOTES = "\"'\u201c\u2018\u00ab`"
_DECORATION = " \t\r\n\"'*_`\u201c\u2018\u00ab<[({"
_WORD = re.compile(r"[^\W\d_]+")
_SHOWN = 60  # characters of an unreadable verdict in the reason


def read_grade(reply: str, *, cut_off: bool = False, offered: Sequence[Grade] = GRADES) -> tuple[Grade | None, str]:
    """A reply's grade, or None and the reason.

    Args:
        reply: the whole reply; of a reasoning model what follows its thoughts is read.
        cut_off: the reply reached its length limit, so its last verdict is unknown.
        offered: the grades that the rubric offers.
    """
    if cut_off:
        return None, "the judge's reply was cut off at its length limit"
    if not reply.strip():
        return None, "the judge's reply is empty"
    if "</think>" in reply:
        reply = reply.rsplit("</think>", 1)[1]
    elif "<think>" in reply:
        return None, "the judge's reply ends within its thoughts"
    verdicts = [found.end() for found in _VERDICT.finditer(reply) if _own(reply, found)]
    if not verdicts:
        return None, "the judge's reply holds no verdict"
    return _grade(reply[verdicts[-1] :].lstrip(_DECORATION), offered)


def _own(reply: str, found: re.Match[str]) -> bool:
    """Whether a verdict is the judge's own, not a list item or a quotation; a key of JSON is quoted, but no quotation."""
    before = reply[reply.rfind("\n", 0, found.start()) + 1 : found.start()]
    if _LIST_ITEM.match(before):
        return False
    bare = before.rstrip("*_ \t")
    quoted = bool(bare) and bare[-1] in _QUOTES and bare[-1] not in found.group()
    return not (quoted and bare[:-1].strip(" \t*_"))


def _grade(rest: str, offered: Sequence[Grade]) -> tuple[Grade | None, str]:
    line = rest.split("\n", 1)[0].strip()
    found = [word.casefold() for word in _WORD.findall(line)]
    named = [grade for grade in offered if grade in found]
    if not found or found[0] not in offered or not line.casefold().startswith(found[0]):
        return None, f"the judge's verdict {line[:_SHOWN]!r} is none of {', '.join(offered)}"
    if len(named) > 1:
        return None, f"the judge's verdict {line[:_SHOWN]!r} names several grades"
    return named[0], ""
