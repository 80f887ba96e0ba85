"""Loads a model by transformers, and refuses what transformers would fill up with random numbers."""

import logging
import re
import reprlib
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from hp_bench.engines import DoesNotFit, NeedsAnotherEngine
from hp_bench.engines.source import Source, require_finite, require_sound, require_whole
from hp_bench.progress import quiet_transformers
from unlearn.cpu import quicken
from unlearn.exits import first_line
from unlearn.files import find_model

log = logging.getLogger(__name__)

_DTYPES = ("auto", "float32", "bfloat16", "float16", "float64")


def load_model(source: Source, *, dtype: str = "auto", device: str = "cpu") -> Any:
    """A causal language model in evaluation mode, adapter unmerged, quantised as its config says; auto means the checkpoint's own type.

    Raises ValueError: it cannot be loaded, weights are missing, or some are no numbers; one sentence.
    """
    if dtype not in _DTYPES:
        raise ValueError(f"dtype {dtype!r} is unknown; allowed: {', '.join(_DTYPES)}")
    require_whole(source)
    if source.base is not None:
        try:
            under = load_model(source.base, dtype=dtype, device=device)
        except ValueError as error:
            raise ValueError(f"the model under the adapter {source.name!r} (--base names another): {error}") from None
        return attach(under, source)
    kind: Any = "auto" if dtype == "auto" else getattr(torch, dtype)
    options: dict[str, Any] = {"dtype": kind, "device_map": {"": device}, **source.options}
    try:
        with quiet_transformers():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                source.path, output_loading_info=True, ignore_mismatched_sizes=True, **options
            )
    except Exception as error:  # checks of configs, tokenizers and quantisers have errors of their own
        raise ValueError(
            f"no causal language model could be loaded from {source.name!r}: {first_line(error)}"
        ) from None
    model, report = loaded
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise ValueError(f"{source.name!r} lacks {len(missing)} of its weights: {', '.join(missing[:3])}")
    if report["mismatched_keys"]:
        key, stored, said = min(report["mismatched_keys"])
        raise ValueError(
            f"the weights of {source.name!r} are not those of its config.json: {key} is of shape {tuple(stored)}, and by the config of "
            f"{tuple(said)}"
        )
    layers = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    numbers = [
        int(found[1]) for key in report["unexpected_keys"] if (found := re.search(r"\.(?:layers|h)\.(\d+)\.", key))
    ]
    if layers is not None and any(number >= layers for number in numbers):
        held = f"its files hold {max(numbers) + 1} layers, and its config.json says {layers}: the others are not used"
        log.warning("%s: %s", source.name, held)
    require_finite(model.named_parameters(), source.name)
    return quicken(model.eval())


def attach(model: Any, source: Source) -> Any:
    """The model with an adapter on it, unmerged.

    Raises ValueError: the adapter does not fit, is incomplete, or is broken; the model is then as it was.
    """
    from peft import PeftModel

    require_sound(source)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            adapted = PeftModel.from_pretrained(model, source.path, **source.options)
        except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
            detach_from(model)
            raise ValueError(
                f"adapter {source.name!r} does not fit its base: {' '.join(str(error).split())[:300]}"
            ) from None
    lacking = [str(warning.message) for warning in said if "missing adapter keys" in str(warning.message)]
    if lacking:
        detach(adapted)
        raise ValueError(f"adapter {source.name!r} lacks some of its weights: {lacking[0][:200]}")
    return adapted.eval()


def detach(adapted: Any) -> Any:
    """The model under an adapter, its modules as they were; nothing is merged."""
    return adapted.unload() if hasattr(adapted.base_model, "unload") else adapted.get_base_model()


def detach_from(model: Any) -> None:
    """Takes out of a model what a failed attempt to attach an adapter has put in."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer | AuxiliaryTrainingWrapper):
            parent = model.get_submodule(name.rpartition(".")[0])
            original = module.get_base_layer() if isinstance(module, BaseTunerLayer) else module.original_module
            setattr(parent, name.rpartition(".")[2], original)
    if hasattr(model, "peft_config"):
        del model.peft_config


def log_likelihoods(model: Any, ids: list[int]) -> list[float]:
    """Log-likelihood of every token of a text but the first, nats."""
    with torch.inference_mode():
        logits = model(torch.tensor([ids], device=model.device)).logits[0].float().log_softmax(-1)
    return [float(logits[position, token]) for position, token in enumerate(ids[1:])]


def resolve_device(device: str) -> str:
    """`auto` -> cuda, mps or cpu, whichever is there. Raises ValueError: the device is unknown to torch."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device!r} cannot be used here: {first_line(error)}") from None
    return device


#: Settings of a model's config, or of a config within it, that do not touch what its weights compute. Trainer changes some of them in the
#: checkpoints it saves.
_HARMLESS = {
    "_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache", "architectures", "pad_token_id", "bos_token_id",
    "eos_token_id", "output_attentions", "output_hidden_states", "return_dict", "id2label", "label2id", "problem_type",
}  # fmt: skip

_TOKENIZER_FILES = "tokenizer.json tokenizer.model tokenizer_config.json vocab.json vocab.txt spiece.model".split()

_SAMPLE = "She said: “It's 3 o'clock, isn't it?” – and left, naïvely, for the café.\n\tThe end."


def require_swappable(loaded: Any, tokenizer: Any, source: Source) -> None:
    """Raises DoesNotFit unless a checkpoint's weights can replace those of the model whose config and tokenizer these are."""
    config = same_architecture(loaded, source.whole)
    if getattr(config, "quantization_config", None) is not None:
        raise NeedsAnotherEngine(f"{source.name!r} is quantised: its weights are not swapped in place")
    same_tokenizer(tokenizer, source)


def same_architecture(loaded: Any, source: Source) -> Any:
    """The config of a checkpoint (a whole model), which must be as that of the model loaded.

    Raises:
        DoesNotFit: it differs; the settings are named.
        ValueError: there is no config to be read.
    """
    other = _config(source)
    ours, theirs = dict(_leaves(loaded.to_dict())), dict(_leaves(other.to_dict()))
    different = [key for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key)]
    if different:
        pairs = [(key, reprlib.repr(ours.get(key)), reprlib.repr(theirs.get(key))) for key in different[:4]]
        what = "; ".join(f"{key}: {our} against {their}" for key, our, their in pairs)
        raise DoesNotFit(f"{source.name!r} is of another architecture than the model loaded ({what})")
    return other


def _config(source: Source) -> Any:
    try:
        return AutoConfig.from_pretrained(source.path, **source.options)
    except Exception as error:  # checks of configs have errors of their own
        raise ValueError(f"config.json of {source.name!r} cannot be read: {first_line(error)}") from None


def _leaves(config: Mapping[Any, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """The settings that matter, one by one, those of a config within by a dotted name."""
    for key, value in config.items():
        if key in _HARMLESS:
            continue
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{within}{key}.")
        else:
            yield f"{within}{key}", value


def same_tokenizer(loaded: Any, source: Source) -> None:
    """Raises DoesNotFit if a checkpoint's own tokenizer differs; a checkpoint without one is taken to share the model's.

    What is said of the loaded tokenizer from now on is said of the checkpoint's own.
    """
    other = own_tokenizer(source)
    if other is None:
        return
    if loaded.get_vocab() != other.get_vocab():
        raise DoesNotFit(
            f"{source.name!r} has another tokenizer ({len(other)} tokens) than the model loaded ({len(loaded)} tokens): its words "
            "would get other numbers"
        )
    ours, theirs = (tokenizer(_SAMPLE)["input_ids"] for tokenizer in (loaded, other))
    if ours != theirs or loaded.decode(ours) != other.decode(theirs):
        what = "splits text otherwise" if ours != theirs else "makes other text of it"
        raise DoesNotFit(
            f"{source.name!r} has a tokenizer of the same vocabulary that {what} than that of the model loaded"
        )
    if loaded.chat_template != other.chat_template or loaded.eos_token != other.eos_token:
        raise NeedsAnotherEngine(f"{source.name!r} has another chat template or end token than the model loaded")
    loaded.name_or_path = other.name_or_path


def own_tokenizer(source: Source) -> Any:
    """The tokenizer beside a model's weights, or None. Raises ValueError: there is one, and it is broken."""
    folder = Path(source.path)
    if folder.is_dir() and not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        return None
    try:
        return AutoTokenizer.from_pretrained(source.path, **source.options)
    except Exception as error:  # a class that cannot read this tokenizer.json fails in ways of its own
        if not folder.is_dir() and isinstance(error, OSError | ValueError | KeyError):
            return None
        if (folder / "config.json").is_file():
            _config(source)  # transformers reads it for the tokenizer, too
        raise ValueError(
            f"the tokenizer of {source.name!r} cannot be loaded ({first_line(error)}): its tokenizer_class in tokenizer_config.json is not "
            "the one that its tokenizer.json is for, or one of the two is broken"
        ) from None


def load_tokenizer(source: Source, chosen: Any = None) -> Any:
    """A model's tokenizer: the one chosen, that beside its weights, or that of the model under the adapter.

    Raises ValueError: there is none, or the one chosen is another model's.
    """
    if isinstance(chosen, str | Path):
        try:
            named = AutoTokenizer.from_pretrained(find_model(chosen))
        except Exception as error:  # tokenizers' own errors have no type
            raise ValueError(f"no tokenizer could be loaded from {str(chosen)!r}: {first_line(error)}") from None
        own = None
        with suppress(ValueError):  # a broken one is what another is named for
            own = own_tokenizer(source) or own_tokenizer(source.whole)
        ours, theirs = (own or named).get_vocab(), named.get_vocab()
        same = sum(theirs.get(token) == number for token, number in ours.items())
        if 2 * same < len(ours):
            raise ValueError(
                f"the tokenizer {str(chosen)!r} is another model's: {same} of the {len(ours)} tokens of {source.name!r} have their number "
                "there"
            )
        return named
    tokenizer = chosen or own_tokenizer(source) or own_tokenizer(source.whole)
    if tokenizer is None and not Path(source.whole.path).is_dir():
        try:
            _config(source.whole)
        except ValueError as error:
            if "gated" in str(error):
                raise
            if source.base:
                raise ValueError(
                    f"the model under the adapter {source.name!r}, {source.base.name!r}, is no folder here, and none came from the hub "
                    "or its cache: name it (--base)"
                ) from None
            raise ValueError(
                f"there is no model {source.name!r}: no folder is called so here, and none came from the hub or its cache; a model is a "
                "folder, a hub id such as owner/name, or the address of a server; look at the name, and at the network"
            ) from None
    if tokenizer is None:
        raise ValueError(f"{source.name!r} has no tokenizer beside its weights: name one (--tokenizer)")
    return tokenizer
