"""`hp_familiarity`: completions of 300 prompts, graded. Lower = less familiar.

Source: arXiv:2310.02238, completion-based evaluation.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance

from hp_bench.engines.fit import reason_of
from hp_bench.harness.packaged import PackagedTask, sha256
from hp_bench.judges.grades import Verdict, by_fame, grade_apart, metrics, with_errors
from hp_bench.judges.llm.judge import LanguageModelJudge
from hp_bench.judges.references import flagged
from hp_bench.judges.registry import choose_judge, require_target
from hp_bench.probes.foreign import read_probes
from hp_bench.probes.rows import Probe, load_probes, quick_probes
from hp_bench.text.completion import cut_at_blank_line, ends_at_blank_line
from hp_bench.text.terms import Lexicon

log = logging.getLogger(__name__)


class FamiliarityTask(PackagedTask):
    """The completion-based familiarity test as an lm-eval task.

    The judge sees all completions at once, after generation; its verdict on each, evidence included, is logged as the sample's
    `filtered_resps`, beside the raw completion in `resps`.
    """

    _thinks = False  # whether a trace of thoughts stands before any of the answers
    PROMPTS = "familiarity.jsonl"

    #: Whether a completion ends within a text; None: nothing but the token limit and the model's own end ends it.
    ENDED: Callable[[str], bool] | None = staticmethod(ends_at_blank_line)

    def documents(self, path: Path) -> list[dict[str, Any]]:
        """Probes as dicts. The judge that the metadata names is built here, so that a missing lexicon is an error before generation."""
        lexicon, metadata = self.lexicon_file(), self.config.metadata
        probes, changed = (load_probes(path), "") if metadata.get("strict") else read_probes(path)
        if changed:
            log.warning("%s: %s: %s; strict=true refuses such a file", self.config.task, path, changed)
            metadata["prompts_changed"] = changed
        if metadata.get("quick"):
            every, probes = len(probes), quick_probes(probes)
            metadata["prompts_changed"] = "; ".join(filter(None, (f"quick: {len(probes)} of {every} prompts", changed)))
        self._probes: dict[str, Any] = {probe.id: probe for probe in probes}
        self._by_fame = any(probe.fame for probe in probes)
        require_target(metadata)
        self.judge = choose_judge(metadata, Lexicon.load(lexicon), vocabulary=self._vocabulary())
        metadata |= {"lexicon_sha256": sha256(lexicon), "judge": self.judge.name}
        if isinstance(self.judge, LanguageModelJudge):
            metadata["judge_rubric_sha256"] = self.judge.rubric.digest
        return [{**asdict(probe), "references": list(probe.references)} for probe in self._probes.values()]

    def _vocabulary(self) -> list[str]:
        """Words that are no noise though no dictionary has them: lines of the file that `vocabulary` in the metadata names."""
        if self.config.metadata.get("vocabulary") is None:
            return []
        return self.user_file("vocabulary", "a word list").read_text(encoding="utf-8").split()

    def construct_requests(self, *arguments: Any, **options: Any) -> Any:
        """One request a prompt, which says where its completion ends, for engines that can stop there; the name is lm-eval's."""
        request = super().construct_requests(*arguments, **options)
        vars(request)["ended"] = self.ENDED
        return request

    def apply_filters(self) -> list[Instance] | None:
        """Grades every completion in one call; lm-eval runs this between generation and `process_results`."""
        self.withdraw_unfit()
        instances = self._completed()
        items = [(self._probes[one.doc["id"]], text) for one in instances for text in one.resps]
        graded = grade_apart(self.verdicts, items)
        self._thinks = any(verdict.trace is not None for verdict in graded)
        verdicts = iter(graded)
        for instance in instances:
            why = reason_of(instance)
            said = [
                (replace(verdict, unscored=why) if why and text is None else verdict).to_dict()
                for text, verdict in zip(instance.resps, verdicts, strict=False)
            ]
            instance.filtered_resps["none"] = json.dumps(self.logged(said), ensure_ascii=False)
        return instances

    def logged(self, verdicts: list[dict[str, Any]]) -> dict[str, Any]:
        """What the samples hold of a prompt's verdicts."""
        return verdicts[0]

    def _completed(self) -> list[Instance]:
        """The instances, each answer cut where a completion ends, if within it: what is logged is what the judge sees."""
        for instance in self._instances if self.ENDED else ():
            instance.resps = [text if text is None else cut_at_blank_line(text) for text in instance.resps]
        return self._instances

    def verdicts(self, items: Sequence[tuple[Probe, str | None]]) -> list[Verdict]:
        """The judge's, as of `flagged`."""
        return flagged(self.judge, items)

    def process_results(self, doc: dict[str, Any], results: list[str]) -> dict[str, float]:
        """A verdict's metrics, those that the task file lists: NaN where it could not be scored."""
        values = metrics(Verdict.from_dict(json.loads(results[0])))
        if not self._thinks:
            values = {k: v for k, v in values.items() if not k.startswith("leak_trace")}
        if self._by_fame:
            values |= with_errors(by_fame(values["explicit"], doc["fame"]), unscored=bool(values["unscored"]))
        return {name: value for name, value in values.items() if name in self.aggregation()}
