"""May these weights replace those? Checked before a swap, with the difference named."""

import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer

from hp_bench.engines import DoesNotFit
from hp_bench.engines.source import Source

#: Settings of a model's config, or of a config within it, that do not touch what its weights compute. Trainer changes some of them in the
#: checkpoints it saves.
_HARMLESS = {
    "_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache", "architectures", "pad_token_id", "bos_token_id",
    "eos_token_id", "output_attentions", "output_hidden_states", "return_dict", "id2label", "label2id", "problem_type",
}  # fmt: skip
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
)
_SAMPLE = "She said: “It's 3 o'clock, isn't it?” – and left, naïvely, for the café.\n\tThe end."


def same_architecture(loaded: Any, source: Source) -> Any:
    """A checkpoint's config.

    Args:
        loaded: config of the model loaded.
        source: of the checkpoint, a whole model.

    Raises:
        DoesNotFit: it differs; the settings are named.
        ValueError: there is no config to be read.
    """
    try:
        other = AutoConfig.from_pretrained(source.path, **source.options)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"no config could be read from {source.name!r}: {first_line(error)}") from None
    ours, theirs = dict(_leaves(loaded.to_dict())), dict(_leaves(other.to_dict()))
    different = [key for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key)]
    if different:
        what = "; ".join(
            f"{key}: {reprlib.repr(ours.get(key))} against {reprlib.repr(theirs.get(key))}" for key in different[:4]
        )
        raise DoesNotFit(f"{source.name!r} is of another architecture than the model loaded ({what})")
    return other


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
    """Raises DoesNotFit if a checkpoint's own tokenizer differs; a checkpoint without one is taken to share the model's."""
    other = own_tokenizer(source)
    if other is None:
        return
    if loaded.get_vocab() != other.get_vocab():
        raise DoesNotFit(
            f"{source.name!r} has another tokenizer ({len(other)} tokens) than the model loaded ({len(loaded)} tokens): its words "
            "would get other numbers"
        )
    if loaded(_SAMPLE)["input_ids"] != other(_SAMPLE)["input_ids"]:
        raise DoesNotFit(
            f"{source.name!r} has a tokenizer of the same vocabulary that splits text otherwise than that of the model loaded"
        )


def own_tokenizer(source: Source) -> Any:
    """The tokenizer beside a model's weights, or None."""
    folder = Path(source.path)
    if folder.is_dir() and not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        return None
    try:
        return AutoTokenizer.from_pretrained(source.path, **source.options)
    except (OSError, ValueError, KeyError):
        return None


def load_tokenizer(source: Source, chosen: Any = None) -> Any:
    """A model's tokenizer: the one chosen, that beside its weights, or that of the model under the adapter.

    Raises:
        ValueError: there is none.
    """
    if chosen is not None and not isinstance(chosen, str | Path):
        return chosen
    if chosen is not None:
        try:
            return AutoTokenizer.from_pretrained(str(chosen))
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"no tokenizer could be loaded from {str(chosen)!r}: {first_line(error)}") from None
    found = own_tokenizer(source) or (own_tokenizer(source.base) if source.base else None)
    if found is None:
        raise ValueError(f"{source.name!r} has no tokenizer beside its weights: name one (--tokenizer)")
    return found


def require_open_end(tokenizer: Any, model: str) -> None:
    """Raises ValueError if the tokenizer ends a text with a special token: after it nothing is continued, and no next word is measured."""
    ids = tokenizer("a")["input_ids"]
    if ids and ids[-1] in tokenizer.all_special_ids:
        raise ValueError(
            f"the tokenizer of {model!r} ends every text with {tokenizer.convert_ids_to_tokens(ids[-1])!r}, so the model cannot "
            "continue a prompt; save it with add_eos_token=False, or without that token in its post-processor"
        )


def first_line(error: BaseException) -> str:
    """An error's first line, at most 300 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
