"""A language model as the judge, by the paper's protocol: list what the completion adds, then the grade.

A judge that fails, is cut off or cannot be understood leaves the completion unscored, with the reason; the whole reply is kept as evidence.
"""

import hashlib
import json
from collections.abc import Collection, Sequence

from hp_bench.degeneracy import degeneracy
from hp_bench.familiarity import Verdict
from hp_bench.judges.cache import Reply, ReplyCache, key
from hp_bench.judges.respondents import Respondent
from hp_bench.judges.rubric import Rubric
from hp_bench.judges.verdicts import read_grade
from hp_bench.lexicon import words
from hp_bench.probes import Probe

#: Raised whenever a reply could be read differently.
VERSION = 1


class LanguageModelJudge:
    """Grades by asking a language model.

    Args:
        respondent: the model.
        rubric: what it is asked.
        cache: replies known from earlier; default: none, kept in memory.
        known: words that are not noise, for the degeneracy flag, which does not depend on the judge.
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
        keys = [None if completion is None else self._key(probe, completion) for probe, completion in items]
        failures = self._ask(
            {k: (p, c) for k, (p, c) in zip(keys, items, strict=True) if k is not None and c is not None}
        )
        return [
            Verdict(None, unscored="the engine returned nothing")
            if completion is None or name is None
            else self._verdict(probe, completion, self._reply(name), failures.get(name, "no answer"))
            for (probe, completion), name in zip(items, keys, strict=True)
        ]

    def _ask(self, wanted: dict[str, tuple[Probe, str]]) -> dict[str, str]:
        """Asks what is not known yet; why some have no answer, by key."""
        names = [name for name in wanted if self._reply(name) is None]
        if not names:
            return {}

        def keep(number: int, reply: Reply) -> None:
            self.cache.put(names[number], self.name, reply, self.respondent.max_tokens)

        try:
            specials = self.respondent.specials()
        except Exception as error:  # the judge cannot be loaded: the completions are kept, and can be judged later
            return dict.fromkeys(names, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
        questions = [self.rubric.question(wanted[n][0].prompt, wanted[n][1], specials=specials) for n in names]
        return {names[number]: problem for number, problem in self.respondent.ask(questions, keep).items()}

    def _verdict(self, probe: Probe, completion: str, reply: Reply | None, problem: str) -> Verdict:
        broken = degeneracy(completion, known=self._known | set(words(probe.prompt)))
        if reply is None:
            return Verdict(None, unscored=f"the judge gave no answer: {problem}", degenerate=broken)
        grade, reason = read_grade(reply.text, cut_off=reply.cut_off)
        return Verdict(grade, unscored=reason, degenerate=broken, reply=reply.text)

    def _reply(self, name: str) -> Reply | None:
        return self.cache.get(name, self.respondent.max_tokens)

    def _key(self, probe: Probe, completion: str) -> str:
        return key(self.name, self.respondent.where, probe.prompt, completion)
