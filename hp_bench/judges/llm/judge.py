"""A language model as the judge, by the paper's protocol: list what the completion adds, then the grade.

A judge that fails, is cut off or cannot be understood leaves the completion unscored, with the reason; the whole reply is kept as evidence.
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence

from hp_bench.judges.grades import GRADES, LOST, Grade, Verdict
from hp_bench.judges.llm.lm_eval_model import HostModel
from hp_bench.judges.llm.rubric import Rubric
from hp_bench.judges.llm.server import Endpoint
from hp_bench.probes.rows import Probe
from hp_bench.text.completion import parts, with_opening
from hp_bench.text.degeneracy import degeneracy
from hp_bench.text.terms import words
from unlearn.chat import Reply, ReplyCache, reply_key

#: Raised whenever a reply could be read differently.
VERSION = 1

#: A language model that answers questions.
Respondent = Endpoint | HostModel


class LanguageModelJudge:
    """Grades by asking a language model, of which replies known from earlier may be in a cache (default: none, kept in memory).

    `known` are words that are not noise, for the degeneracy flag, which does not depend on the judge.
    """

    def __init__(
        self, respondent: Respondent, rubric: Rubric, *, cache: ReplyCache | None = None, known: Collection[str] = ()
    ) -> None:
        self.respondent, self.rubric = respondent, rubric
        self.cache = cache or ReplyCache()
        self._known = frozenset(known)
        identity = [VERSION, rubric.digest, respondent.name, {k: str(v) for k, v in respondent.settings.items()}]
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
        self.name = f"{respondent.name}-v{VERSION}-{digest}"

    def grade(self, items: Sequence[tuple[Probe, str | None]]) -> list[Verdict]:
        """One verdict per (probe, completion), in order; equal ones are asked once, known ones not at all."""
        failures = self._ask({self._key(probe, text): (probe, text) for probe, text in items if text is not None})
        return [LOST if text is None else self._verdict(probe, text, failures) for probe, text in items]

    def _ask(self, wanted: dict[str, tuple[Probe, str]]) -> dict[str, str]:
        """Asks what is not known yet; why some have no answer, by key."""
        longest = self.respondent.max_tokens
        names = [name for name in wanted if self.cache.get(name, longest) is None]
        if not names:
            return {}

        def keep(number: int, reply: Reply) -> None:
            self.cache.put(names[number], self.name, reply, longest)

        try:
            specials = self.respondent.specials()
        except Exception as error:  # the judge cannot be loaded: the completions are kept, and can be judged later
            return dict.fromkeys(names, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
        questions = [self.rubric.question(wanted[n][0].prompt, wanted[n][1], specials=specials) for n in names]
        return {names[number]: problem for number, problem in self.respondent.ask(questions, keep).items()}

    def _verdict(self, probe: Probe, completion: str, failures: Mapping[str, str]) -> Verdict:
        broken = degeneracy(completion, known=self._known | set(words(probe.prompt)))
        key = self._key(probe, completion)
        reply = self.cache.get(key, self.respondent.max_tokens)
        if reply is None:
            problem = failures.get(key, "no answer")
            return Verdict(None, unscored=f"the judge gave no answer: {problem}", degenerate=broken)
        grade, reason = read_grade(reply.text, cut_off=reply.cut_off)
        return Verdict(grade, unscored=reason, degenerate=broken, reply=reply.text)

    def _key(self, probe: Probe, completion: str) -> str:
        return reply_key(self.name, self.respondent.where, probe.prompt, completion)


#: "GRADE:", "**Grade**:", "grade = ", with an ASCII or a full-width colon; not "upgrade:".
_VERDICT = re.compile(r"(?<![^\W_])grade[ \t\"'*_`]*[:=\uff1a]", re.IGNORECASE)

_LIST_ITEM = re.compile(r"\s*[-*+>\u2022\u2013\u2014]\s")

_QUOTES = "\"'\u201c\u2018\u00ab`"

_DECORATION = " \t\r\n\"'*_`\u201c\u2018\u00ab<[({"

_WORD = re.compile(r"[^\W\d_]+")

_SHOWN = 60  # characters of an unreadable verdict in the reason


def read_grade(reply: str, *, cut_off: bool = False) -> tuple[Grade | None, str]:
    """The grade of a whole reply, or None and the reason.

    Of a reasoning model what follows its thoughts is read. A reply that reached its length limit is cut off: its last verdict is unknown.
    """
    if cut_off:
        return None, "the judge's reply was cut off at its length limit"
    if not reply.strip():
        return None, "the judge's reply is empty"
    answer = parts(with_opening(reply))[1]
    reply = (answer or "").rsplit("</think>", 1)[-1]
    if answer is None or "<think>" in reply:
        return None, "the judge's reply ends within its thoughts"
    verdicts = [found.end() for found in _VERDICT.finditer(reply) if _own(reply, found)]
    if not verdicts:
        return None, "the judge's reply holds no verdict"
    return _grade(reply[verdicts[-1] :].lstrip(_DECORATION))


def _own(reply: str, found: re.Match[str]) -> bool:
    """Whether a verdict is the judge's own, not a list item or a quotation; a key of JSON is quoted, but no quotation."""
    before = reply[reply.rfind("\n", 0, found.start()) + 1 : found.start()]
    if _LIST_ITEM.match(before):
        return False
    bare = before.rstrip("*_ \t")
    quoted = bool(bare) and bare[-1] in _QUOTES and bare[-1] not in found.group()
    return not (quoted and bare[:-1].strip(" \t*_"))


def _grade(rest: str) -> tuple[Grade | None, str]:
    line = rest.split("\n", 1)[0].strip()
    found = [word.casefold() for word in _WORD.findall(line)]
    named = [grade for grade in GRADES if grade in found]
    if not found or found[0] not in GRADES or not line.casefold().startswith(found[0]):
        return None, f"the judge's verdict {line[:_SHOWN]!r} is none of {', '.join(GRADES)}"
    if len(named) > 1:
        return None, f"the judge's verdict {line[:_SHOWN]!r} names several grades"
    return named[0], ""
