"""Which judge? Chosen by `judge` and `judge_...` of a task's metadata, or by `hp-bench judge`.

    judge=lexicon                                                          the default
    judge=endpoint judge_base_url=http://localhost:8000/v1 judge_model=NAME    any OpenAI-compatible server; its key is OPENAI_API_KEY
    judge=hf judge_pretrained=MODEL judge_dtype=bfloat16                   any of lm-eval's models; judge_X is its model_args' X
    judge=package.module:object                                            called with (options, lexicon, vocabulary)

All but the lexicon also take judge_target and judge_theme (in words; needed for another target than Harry Potter), judge_rubric (a file),
judge_cache (a file, or none) and judge_max_tokens.
"""

import difflib
import importlib
import inspect
import logging
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from hp_bench.judges import Judge
from hp_bench.judges.lexicon import LexiconJudge
from hp_bench.judges.llm.judge import LanguageModelJudge, Respondent
from hp_bench.judges.llm.lm_eval_model import HostModel
from hp_bench.judges.llm.rubric import TARGET, THEME, Rubric
from hp_bench.judges.llm.server import Endpoint
from hp_bench.probes.foreign import read_probes
from hp_bench.probes.paths import lexicon_beside, prompts_dir
from hp_bench.probes.rows import Probe
from hp_bench.text.terms import Lexicon
from unlearn.chat import ReplyCache

Options = Mapping[str, Any]

log = logging.getLogger(__name__)

_ASKING = ("target", "theme", "rubric", "cache", "max_tokens")


def choose_judge(metadata: Mapping[str, Any], lexicon: Lexicon, *, vocabulary: Collection[str] = ()) -> Judge:
    """The judge that a task's metadata names, by the target's lexicon. Raises ValueError: there is no such judge, or its options are wrong.

    `vocabulary`: further words that are not noise, for the degeneracy flag.
    """
    kind = str(metadata.get("judge", "lexicon"))
    options = {name.removeprefix("judge_"): value for name, value in metadata.items() if name.startswith("judge_")}
    for name in options:
        if name.endswith(("key", "auth_token", "password")):
            raise ValueError(
                f"judge_{name} would be recorded with the results: API keys come from the environment alone"
            )
    if ":" in kind:
        return _imported(kind)(options, lexicon, vocabulary)
    if kind in JUDGES:
        return JUDGES[kind](options, lexicon, vocabulary)
    return _language_model(_host_model(kind, options), options, lexicon, vocabulary)


def _lexicon(options: Options, lexicon: Lexicon, vocabulary: Collection[str]) -> Judge:
    if options:
        raise ValueError(
            f"judge=lexicon takes no options, but judge_{next(iter(options))} is given: name a judge as well"
        )
    return LexiconJudge(lexicon, vocabulary=vocabulary)


def _endpoint(options: Options, lexicon: Lexicon, vocabulary: Collection[str]) -> Judge:
    names = {field.name: field.default is MISSING for field in fields(Endpoint) if field.name != "backoff"}
    given = {name: value for name, value in options.items() if name in names}
    unknown = sorted(set(options) - set(names) - set(_ASKING))
    if unknown:
        allowed = ", ".join(f"judge_{name}" for name in sorted({*names, *_ASKING}))
        raise ValueError(f"judge=endpoint knows no judge_{unknown[0]}; allowed: {allowed}")
    missing = [name for name, needed in names.items() if needed and name not in given]
    if missing:
        raise ValueError(f"judge=endpoint needs {' and '.join(f'judge_{name}' for name in missing)}")
    return _language_model(Endpoint(**{**given, "model": str(given["model"])}), options, lexicon, vocabulary)


#: Judges by name; further ones are lm-eval's models, or package.module:object.
JUDGES: dict[str, Callable[[Options, Lexicon, Collection[str]], Judge]] = {"lexicon": _lexicon, "endpoint": _endpoint}


def _host_model(kind: str, options: Options) -> Respondent:
    import lm_eval.models  # noqa: F401  (fills the registry)
    from lm_eval.api.registry import model_registry

    models = list(model_registry.keys())
    if kind not in models:
        near = difflib.get_close_matches(kind, [*JUDGES, *models], n=3)
        raise ValueError(
            f"unknown judge {kind!r}; did you mean {' or '.join(near) or 'lexicon'}? There are {', '.join(JUDGES)}, lm-eval's models "
            "(hf, vllm, local-chat-completions, ...) and package.module:object"
        )
    longest = options.get("max_tokens", 1024)
    if not isinstance(longest, int) or longest < 1:
        raise ValueError(f"judge_max_tokens must be a whole number of at least 1, not {longest!r}")
    arguments = {name: value for name, value in options.items() if name not in _ASKING}
    return HostModel(kind, arguments, max_tokens=longest)


def _language_model(respondent: Respondent, options: Options, lexicon: Lexicon, vocabulary: Collection[str]) -> Judge:
    rubric = Rubric.load(
        options.get("rubric"), target=str(options.get("target", TARGET)), theme=str(options.get("theme", THEME))
    )
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    chosen = str(options.get("cache", Path(folder) / "hp-bench" / "replies.jsonl"))  # the user's cache folder
    cache = ReplyCache(None if chosen.casefold() == "none" else Path(chosen))
    return LanguageModelJudge(respondent, rubric, cache=cache, known=lexicon.words | set(vocabulary))


def judge_afterwards(
    kind: str, options: Options, *, prompts: Path | None = None, lexicon: Path | None = None
) -> tuple[Judge, list[Probe]]:
    """A judge of completions that are there already, named as `judge` in a task's metadata, its options without "judge_"; and the prompts.

    `prompts`: the target's prompt file, or a folder with a familiarity.jsonl; ours by default. `lexicon`: by default the one beside the
    prompts, or ours.
    """
    folder = prompts or prompts_dir()
    file = folder / "familiarity.jsonl" if folder.is_dir() else folder
    metadata = {"judge": kind, **{f"judge_{name}": value for name, value in options.items()}}
    require_target(metadata if prompts is None else {**metadata, "prompts": str(prompts)})
    probes, changed = read_probes(file)
    if changed:
        log.warning("%s: %s", file, changed)
    return choose_judge(metadata, Lexicon.load(lexicon or lexicon_beside(file.parent))), probes


def require_target(metadata: Mapping[str, Any]) -> None:
    """Raises ValueError if a language model would grade another target's completions by Harry Potter's name."""
    kind = str(metadata.get("judge", "lexicon"))
    if metadata.get("prompts") is not None and kind != "lexicon" and ":" not in kind:
        missing = [name for name in ("judge_target", "judge_theme") if name not in metadata]
        if missing:
            raise ValueError(f"with prompts of another target, judge={kind} needs {' and '.join(missing)}, in words")


def _imported(kind: str) -> Callable[[Options, Lexicon, Collection[str]], Judge]:
    module, _, name = kind.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"judge={kind!r} cannot be imported: {error}") from None
    if not callable(found) or inspect.ismodule(found):
        raise ValueError(f"judge={kind!r} cannot be called with (options, lexicon, vocabulary)")
    return found
