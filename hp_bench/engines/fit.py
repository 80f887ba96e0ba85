"""Fit to be scored? What would give a wrong number without a word is looked for before the first prompt is asked.

A model that cannot be asked is refused (ValueError). A prompt that cannot be asked as it stands is unscored, with its reason. What else a
reader of the number should know is a finding: a sentence in the scorecard's manifest, printed once.
"""

import reprlib
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from transformers import AutoConfig, GenerationConfig, PreTrainedTokenizerBase
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from hp_bench.engines.source import Source
from hp_bench.engines.texts import NO_TEXT, completions, seen, special_tokens
from hp_bench.engines.windows import Journal, Window

#: Settings of a generation config that do not change what greedy decoding to a given length says, or that lm-eval always sets itself.
_HARMLESS = {
    "transformers_version", "_from_model_config", "bos_token_id", "pad_token_id", "eos_token_id", "decoder_start_token_id", "max_length",
    "do_sample", "temperature", "top_k", "top_p", "min_p", "top_h", "typical_p", "epsilon_cutoff", "eta_cutoff", "use_cache",
    "cache_implementation", "cache_config", "return_dict_in_generate", "output_attentions", "output_hidden_states", "output_scores",
    "output_logits", "compile_config", "disable_compile",
}  # fmt: skip


def require_decoder(config: Any, model: str) -> None:
    """Raises ValueError if a model's config says that it does not continue texts, though transformers would let it."""
    encoders = {*MODEL_FOR_MASKED_LM_MAPPING_NAMES, "bert-generation"}
    encodes = config.model_type in encoders and not getattr(config, "is_decoder", False)
    both_ways = getattr(config.get_text_config(), "use_bidirectional_attention", None) is True
    if encodes or both_ways or getattr(config, "is_encoder_decoder", False):
        raise ValueError(
            f"{model!r} is no model that continues texts: config.json says model_type {config.model_type!r} and not that it is a decoder, "
            "so every token would see those after it; score a causal language model (a decoder of this type says is_decoder: true)"
        )


def require_tokenizer(tokenizer: Any, model: str) -> None:
    """Raises ValueError if a tokenizer cannot be asked: it fails, names no end token, ends texts with a special token, or draws lots."""
    if dropout := getattr(getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None), "dropout", None):
        raise ValueError(
            f"the tokenizer of {model!r} reads a text anew each time (dropout {dropout:g}): set dropout to null in its tokenizer.json"
        )
    ids = _ids(tokenizer, "a", special=True)
    if tokenizer.eos_token_id is None:
        raise ValueError(
            f"the tokenizer of {model!r} names no end token: write eos_token into its tokenizer_config.json, or name another (--tokenizer)"
        )
    if ids and ids[-1] in tokenizer.all_special_ids:
        raise ValueError(
            f"the tokenizer of {model!r} ends every text with {tokenizer.convert_ids_to_tokens(ids[-1])!r}, so the model cannot "
            "continue a prompt; save it with add_eos_token=False, or without that token in its post-processor"
        )


def stored_settings(source: Source) -> GenerationConfig:
    """How a model's files say that it is to be decoded: its generation_config.json, or its config.json where there is none."""
    whole = source.whole
    try:
        return GenerationConfig.from_pretrained(whole.path, **whole.options)
    except OSError:
        return GenerationConfig.from_model_config(AutoConfig.from_pretrained(whole.path, **whole.options))


def neutral_settings(own: GenerationConfig, tokenizer: Any) -> GenerationConfig:
    """Settings that leave decoding to the task: the end tokens alone, which are the tokenizer's and such of the model's as are special."""
    return GenerationConfig(eos_token_id=sorted({tokenizer.eos_token_id} | (_ends(own) & special_tokens(tokenizer))))


def own_settings(own: GenerationConfig, tokenizer: Any) -> str:
    """What a model's own settings hold that would change what greedy decoding says, in words; "" for nothing."""
    held = {key: value for key, value in own.to_diff_dict().items() if key not in _HARMLESS and value is not None}
    said = [f"{key}={reprlib.repr(value)}" for key, value in sorted(held.items())]
    if ordinary := _ends(own) - special_tokens(tokenizer) - {tokenizer.eos_token_id}:
        said.append(f"{len(ordinary)} end tokens that are ordinary ones ({tokenizer.decode([min(ordinary)])!r}, ...)")
    return ", ".join(said)


def settings_file(model: str | Path) -> str:
    """Where a model's own settings stand: in generation_config.json, or in the config.json of a folder without one."""
    alone = (Path(model) / "config.json").is_file() and not (Path(model) / "generation_config.json").is_file()
    return "config.json" if alone else "generation_config.json"


def left_out(own: GenerationConfig, tokenizer: Any, model: str) -> list[str]:
    """The finding on a model's own settings, where the engine does not follow them; empty where there are none."""
    held = own_settings(own, tokenizer)
    said = f"its {settings_file(model)} is not followed ({held}): the task alone decides how to decode"
    return [said] if held else []


class Examined(TemplateLM):
    """Goes before one of lm-eval's model classes, and looks at the prompts before that is asked.

    Attributes:
        findings: what was found of the model that it holds; the engine begins them anew with every model.
        journal: where the answers to windows are kept; None: nowhere.
    """

    findings: list[str]
    journal: Journal | None = None
    _config: Any
    cache_hook: Any

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[Any]:
        """Completions; None where there is none to be scored, the request then says why."""
        generate = partial(super().generate_until, disable_tqdm=disable_tqdm)

        def ask(fit: list[Instance]) -> list[str | None]:
            said = completions(self, generate, fit)
            self.findings += seen(fit, said)
            return answers(fit, said)

        return self._ask_fit(requests, ask, None)

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Log-likelihoods; NaN where there is none to be scored."""
        return self._ask_fit(requests, partial(super().loglikelihood, disable_tqdm=disable_tqdm), LOST_LIKELIHOOD)

    def _loglikelihood_tokens(self, requests: Any, **options: Any) -> list[tuple[float, bool]]:
        """The same of windows; those that the journal knows are not asked again."""
        if not (requests and isinstance(requests[0], Window)):
            return super()._loglikelihood_tokens(requests, **options)
        known = dict(self.journal.answers) if self.journal is not None else {}
        score = partial(super()._loglikelihood_tokens, **options)

        def ask(fit: list[Any]) -> list[tuple[float, bool]]:
            asked = [request for request in fit if request.key not in known]
            with mock.patch.object(self, "cache_hook", self.journal or self.cache_hook):
                found = score(asked) if asked else []
            told = known | {request.key: answer for request, answer in zip(asked, found, strict=True)}
            return [told[request.key] for request in fit]

        return self._ask_fit(requests, ask, LOST_LIKELIHOOD)

    def _ask_fit(self, requests: list[Instance], ask: Callable[[list[Any]], Sequence[Any]], lost: Any) -> list[Any]:
        """Answers to the requests that can be asked, and `lost` for the others."""
        self.findings += examine(self, requests)
        fit = [not reason_of(request) for request in requests]
        asked = [request for request, fits in zip(requests, fit, strict=True) if fits]
        told = iter(ask(asked) if asked else ())
        found = [next(told) if fits else lost for fits in fit]
        self.findings += unscored(requests)
        return found


#: Of a continuation that was not asked for: no number, and not the most probable one.
LOST_LIKELIHOOD = (float("nan"), False)


def examine(lm: Any, requests: Sequence[Instance]) -> list[str]:
    """Looks at all that a model of lm-eval is about to be asked: marks the requests that cannot be (see `reason_of`), returns findings.

    A model whose tokenizer is not known is not looked at.

    Raises ValueError: the tokenizer does not give most of the prompts back, or not their capitals where completions are asked for, or
    has tokens that the model does not know.
    """
    tokenizer = getattr(lm, "tokenizer", None)
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        return []
    config = getattr(lm, "_config", None)
    changed: list[tuple[str, str]] = []
    altered: list[tuple[str, str]] = []
    rows = getattr(config.get_text_config(), "vocab_size", None) if config is not None else None
    lengths: dict[str, int] = {}
    for text in dict.fromkeys(_text(request) for request in requests):
        ids = _ids(tokenizer, text)
        lengths[text] = len(ids) + tokenizer.num_special_tokens_to_add()
        if rows is not None and max(ids, default=0) >= rows:
            raise ValueError(
                f"the tokenizer of {tokenizer.name_or_path!r} gives token {max(ids)}, and the model knows {rows} (vocab_size of its "
                "config.json): it is another model's, or the model was not resized for tokens that were added"
            )
        back = str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
        if _normal(back) != _normal(text):
            (altered if _words(back) == _words(text) else changed).append((text, back))
    if 2 * len(changed) > len(lengths):
        raise ValueError(
            f"{_garbled(tokenizer, *changed[0])}; load it by the class that its tokenizer.json is for (tokenizer_class)"
        )
    lowered = sum(text.lower() != text and back.lower() == back for text, back in altered)
    if 2 * lowered > len(lengths) and any(request.request_type == "generate_until" for request in requests):
        raise ValueError(
            f"{_garbled(tokenizer, *altered[0])}: it writes everything in lower case, and completions are graded by the capitals of names, "
            "so familiarity would come out too low; hp_token_probability alone can be asked (--tasks)"
        )
    lost = dict(changed)
    for request in requests:
        text, new, room = _text(request), _new_tokens(lm, request), getattr(lm, "max_length", None)
        if text in lost:
            _mark(request, "the tokenizer does not give the prompt back")
        elif room is not None and not isinstance(request, Window) and lengths[text] + new > room:
            _mark(request, f"the prompt and {new} new tokens do not fit the context of {room} tokens")
    return [
        f"{_garbled(tokenizer, *pairs[0])}; so in {len(pairs)} of {len(lengths)} texts"
        for pairs in (altered, changed)
        if pairs
    ]


def reason_of(request: Instance) -> str:
    """Why a request has no answer; "" if it has one."""
    return str(vars(request).get("unscored", ""))


def answers(requests: Sequence[Instance], texts: Sequence[str]) -> list[str | None]:
    """Texts, and None where there is none: the request then says why."""
    for request, text in zip(requests, texts, strict=True):
        if text.startswith(NO_TEXT):
            _mark(request, text.removeprefix(NO_TEXT))
    return [None if text.startswith(NO_TEXT) else text for text in texts]


def unscored(requests: Sequence[Instance]) -> list[str]:
    """A finding for every reason why requests have no answer, with their number."""
    distinct = {id(request): request for request in requests}.values()
    asked = Counter(request.task_name for request in distinct)
    reasons = Counter((request.task_name, reason_of(request)) for request in distinct if reason_of(request))
    return [f"{task}: {n} of {asked[task]} requests are unscored: {reason}" for (task, reason), n in reasons.items()]


def _mark(request: Instance, reason: str) -> None:
    vars(request)["unscored"] = reason


def _text(request: Instance) -> str:
    """All that a model reads for a request, beside what it says itself."""
    first, second = request.args[0], request.args[1] if len(request.args) > 1 else ""
    return f"{first}{second}" if isinstance(second, str) else str(first)


def _new_tokens(lm: Any, request: Instance) -> int:
    """Tokens to be said; for a log-likelihood one, which vLLM and servers say after it."""
    given = request.args[1] if len(request.args) > 1 else None
    return int(given.get("max_gen_toks", getattr(lm, "max_gen_toks", 256))) if isinstance(given, Mapping) else 1


def _ids(tokenizer: Any, text: str, *, special: bool = False) -> list[int]:
    try:
        return list(tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])  # a long one we tell
    except Exception as error:  # tokenizers' own errors have no type
        raise ValueError(
            f"the tokenizer of {tokenizer.name_or_path!r} cannot read {reprlib.repr(text)}: {error}; its tokenizer.json is incomplete, or "
            "another model's: name another (--tokenizer)"
        ) from None


def _garbled(tokenizer: Any, text: str, back: str) -> str:
    """What a tokenizer does to a text, shown where the two part."""
    start = next((n for n, (a, b) in enumerate(zip(text, back, strict=False)) if a != b), 0)
    near = slice(max(0, start - 12), start + 24)
    return (
        f"the tokenizer of {tokenizer.name_or_path!r} ({type(tokenizer).__name__} by tokenizer_class in tokenizer_config.json) does not "
        f"give text back: {text[near]!r} becomes {back[near]!r}"
    )


def _normal(text: str) -> str:
    """As tokenizers may write a text without harm: Unicode composed, no space before it."""
    return unicodedata.normalize("NFKC", text).strip()


def _words(text: str) -> list[str]:
    """A text's words without case and accents."""
    letters = (c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return "".join(c if c.isalnum() else " " for c in letters).split()


def _ends(own: GenerationConfig) -> set[int]:
    ends = own.eos_token_id
    listed = [] if ends is None else [ends] if isinstance(ends, int | str) else list(ends)
    if not all(isinstance(end, int) for end in listed):
        raise ValueError(
            f"eos_token_id of the model's generation_config.json is {ends!r}, not a token's number or a list of them"
        )
    return {int(end) for end in listed}
