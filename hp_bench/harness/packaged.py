"""A task whose documents are a prompt file of ours, or of the user's: no download, no hub."""

import hashlib
import inspect
import logging
import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import datasets
import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM, CachingLM
from lm_eval.api.task import ConfigurableTask
from transformers import GenerationConfig

from hp_bench.engines import fit
from hp_bench.engines.texts import completions, let_think, seen
from hp_bench.harness.aggregation import metric_list
from hp_bench.judges.grades import with_errors
from hp_bench.probes.paths import lexicon_beside, prompts_dir
from unlearn.files import json_lines

log = logging.getLogger(__name__)


class PackagedTask(ConfigurableTask):
    """Base of our lm-eval tasks.

    Run-time choices travel in the task's metadata (`lm_eval --metadata key=value`), so that lm-eval records them with the results:

    * `prompts`: a prompt file of this task, or a folder with files named as ours, for another unlearn target;
    * `lexicon`: that target's lexicon file (default: `lexicon.jsonl` in the folder, else ours);
    * `thinking_tokens`: for what a model thinks before it answers, beside the tokens of the answer.

    What was really used is recorded there too: `prompts_sha256`.

    Raises ValueError: a file is missing or holds something else than this task's prompts.
    """

    READ: Callable[[Path], Sequence[Any]] | None = None  # what reads the file's rows; None: they are taken as they are
    SEED = ""  # setting that the random numbers of this process begin with, where anything is sampled
    PROMPTS = ""  # file name in prompts/; `file` of a task file's metadata names another one; "" of a task on the user's own text

    def __init__(self, config: dict[str, Any]) -> None:
        names = config.get("metrics")  # of its numbers, as our task files have them
        config = {key: value for key, value in config.items() if key not in ("class", "metrics")}
        if names:
            config["metric_list"] = metric_list(names)
        config["metadata"] = dict(config.get("metadata") or {})
        self.PROMPTS = str(config["metadata"].get("file", self.PROMPTS))
        super().__init__(config=config)

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **options: Any) -> None:
        """Reads the prompt file; the name is lm-eval's."""
        if "thinking_tokens" in self.config.metadata:
            self.whole_number("thinking_tokens", 0)
        path = self.prompt_file(self.PROMPTS)
        try:
            documents = self.documents(path)
        except ValueError as error:
            if "it lacks" not in str(error):
                raise
            raise ValueError(
                f"{self.config.task}: {error} (it reads files like prompts/{self.PROMPTS}; name the task that yours is for by --tasks)"
            ) from None
        self.dataset = {"test": datasets.Dataset.from_list(documents)}
        self.config.metadata["prompts_sha256"] = self.provenance(path)

    def provenance(self, path: Path) -> str:
        """Digest of all that is asked: scorecards with different ones do not compare. Called after `documents`."""
        return sha256(path)

    def documents(self, path: Path) -> list[dict[str, Any]]:
        """The file's documents, one dict a prompt, all with the same keys."""
        return [asdict(row) for row in self.READ(path)] if self.READ else [row for _, row in json_lines(path)]

    def prompt_file(self, name: str) -> Path:
        """Where the file called `name` in our prompts folder is taken from; of a task without one the text that the user must name."""
        if not name:
            return self.user_file("text", "a text file")
        chosen = self.config.metadata.get("prompts")
        if chosen is None:
            return prompts_dir() / name
        path = Path(str(chosen))
        if path.is_dir():
            path = path / name
        if not path.is_file():
            raise ValueError(
                f"{self.config.task}: prompts={str(chosen)!r} is neither a prompt file nor a folder with {name}"
            )
        return path

    def lexicon_file(self) -> Path:
        """The lexicon that the metadata names, or the one beside the chosen prompts, or ours."""
        if self.config.metadata.get("lexicon") is not None:
            return self.user_file("lexicon", "a lexicon")
        return lexicon_beside(self.prompt_file(self.PROMPTS).parent)

    def user_file(self, key: str, what: str) -> Path:
        """The file that `key` in the metadata names, for a task that cannot be asked without one."""
        chosen = self.config.metadata.get(key)
        if chosen is None:
            raise ValueError(f"{self.config.task}: not applicable without {what}: give {key}=FILE in --metadata")
        path = Path(str(chosen))
        if not path.is_file():
            raise ValueError(f"{self.config.task}: {key}={str(chosen)!r} is not a file")
        return path

    def whole_number(self, key: str, default: int, *, least: int = 0) -> int:
        """A setting of the metadata that is a whole number; the default is recorded there."""
        value = self.config.metadata.setdefault(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{self.config.task}: {key} must be a whole number of at least {least}, not {value!r}")
        return value

    def build_all_requests(self, **options: Any) -> None:
        """Builds the requests, and looks whether the model that plain `lm_eval` will ask is fit for them; the name is lm-eval's."""
        seed = self.whole_number(self.SEED, 1234) if self.SEED else 0
        super().build_all_requests(**options)
        if self.SEED:
            torch.manual_seed(seed + int(options.get("rank", 0)))
        let_think(self._instances, self.config.metadata.get("thinking_tokens"))
        lm = model_to_be_asked()
        if lm is None or isinstance(lm, fit.Examined):  # which looks itself
            return
        if isinstance(lm, CachingLM):
            log.error(
                "%s: answers may come from %s, which lm-eval keeps by the prompt and not by the model: if another model was asked with it, "
                "these are that model's numbers; run without --use_cache, or with a file of its own for every model",
                self.config.task,
                lm.cache_db,
            )
            lm = lm.lm
        _keep_traces(lm)
        config, own = getattr(lm, "_config", None), getattr(getattr(lm, "model", None), "generation_config", None)
        if config is not None:
            fit.require_decoder(config, str(config.name_or_path))
        findings = fit.examine(lm, self._instances) + fit.unscored(self._instances)
        if isinstance(own, GenerationConfig) and (held := fit.own_settings(own, lm.tokenizer)):
            file = fit.settings_file(str(getattr(config, "name_or_path", "")))
            findings.append(
                f"its {file} changes what the model says ({held}), and plain lm_eval follows it: hp-bench score would give another "
                "number; remove these settings"
            )
        for sentence in findings:
            log.error("%s: %s", self.config.task, sentence)

    def withdraw_unfit(self) -> None:
        """Takes the answers away from requests that should not have been asked, as plain `lm_eval` has."""
        for instance in self._instances:
            if fit.reason_of(instance):
                lost = None if instance.request_type == "generate_until" else fit.LOST_LIKELIHOOD
                instance.resps = [lost for _ in instance.resps]

    def apply_filters(self) -> list[Instance] | None:
        """Runs after the model has answered; the name is lm-eval's."""
        self.withdraw_unfit()
        filtered: list[Instance] | None = super().apply_filters()
        return filtered

    def fewshot_context(self, *arguments: Any, **options: Any) -> Any:
        """The prompt itself. A chat template or a system instruction would make it another test under the same name: refused."""
        for option in ("apply_chat_template", "system_instruction"):
            if options.get(option):
                raise ValueError(
                    f"{self.config.task} is for raw text: run it without --{option}, or run hp_familiarity_chat, the test for chat models"
                )
        return super().fewshot_context(*arguments, **options)


def model_to_be_asked() -> Any:
    """The model of the lm-eval run that is building requests, or None. lm-eval hands its tasks everything but the model."""
    frame = inspect.currentframe()
    while frame is not None:
        lm = frame.f_locals.get("lm")
        if isinstance(lm, LM | CachingLM):
            return lm
        frame = frame.f_back
    return None


def _keep_traces(lm: Any) -> None:
    """Has a model of plain `lm_eval` treat what it thinks before it answers our tasks as `hp-bench` does; other tasks' are left alone."""
    if "generate_until" in vars(lm):
        return
    own = lm.generate_until

    def generate_until(requests: list[Instance], *arguments: Any, **options: Any) -> list[str | None]:
        known = fit.unscored(requests)
        texts = completions(lm, lambda asked: own(asked, *arguments, **options), requests)
        for sentence in seen(requests, texts):
            log.warning(sentence)
        found = fit.answers(requests, texts)
        for sentence in fit.unscored(requests):
            if sentence not in known:
                log.error(sentence)
        return found

    lm.generate_until = generate_until


class LikelihoodTask(PackagedTask):
    """Base of the tasks whose numbers come from log-likelihoods; where these make no sense, they are NaN, and the reason is logged."""

    @abstractmethod
    def numbers(self, doc: dict[str, Any], results: list[tuple[float, bool]]) -> Iterable[float]:
        """One for each metric of the task file, in its order, from (log-likelihood, whether the most probable) of each request.

        Raises ValueError: they make no sense.
        """

    def process_results(self, doc: dict[str, Any], results: list[tuple[float, bool]]) -> dict[str, float]:
        """A prompt's metrics."""
        names = [name for name in self.aggregation() if name != "unscored" and not name.endswith("_stderr")]
        try:
            numbers = self.numbers(doc, results)
        except ValueError as error:
            log.error("%s, %s is unscored: %s", self.config.task, doc["id"], error)
            return with_errors(dict.fromkeys(names, math.nan))
        return with_errors(dict(zip(names, numbers, strict=True)), unscored=False)


class ContinuationTask(LikelihoodTask):
    """Base of the tasks that ask for continuations after contexts of their own choice, several a document."""

    @abstractmethod
    def continuations(self, doc: dict[str, Any]) -> list[tuple[str, str]]:
        """(context, continuation) pairs of a document; a continuation begins with the white space before its first word."""

    def construct_requests(self, doc: dict[str, Any], ctx: Any, **options: Any) -> list[Instance]:
        """One request a pair; the name is lm-eval's, and its context is not ours."""
        pairs = enumerate(self.continuations(doc))
        return [Instance("loglikelihood", doc, pair, number, options.get("metadata")) for number, pair in pairs]


def sha256(path: Path) -> str:
    """Digest of a file's bytes, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
