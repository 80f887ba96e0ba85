"""Methods that act at inference: what they leave on disk is a description, and a live model is made of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import Cache, GenerationMixin, PreTrainedModel

from unlearn.files import json_object, model_fingerprint, whole_folder, write_json
from unlearn.models import load_model, processes
from unlearn.pipeline.rundir import RunDirectory
from unlearn.pipeline.stages import Target
from unlearn.recipe import Recipe
from unlearn.registry import method_of

#: What a checkpoint folder holds in place of weights.
DESCRIPTION = "live.json"


def cache_of(given: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """The key-value cache among what `generate` hands to `forward`: under the name that it goes by, and alone; ({}, None) without one.

    `transformers` calls it past_key_values up to 5.23 and cache from 5.24 on. It is told by what it is, and handed on by its name.
    """
    named = {name: value for name, value in given.items() if isinstance(value, Cache)}
    return named, next(iter(named.values()), None)


class LiveModel(PreTrainedModel, GenerationMixin):
    """A causal language model made of others, in memory alone: `generate`, logits, and nothing to save.

    Config, type and device are those of a loaded baseline.
    """

    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def __init__(self, baseline: Any) -> None:
        super().__init__(baseline.config)
        self.baseline = baseline
        self.generation_config = baseline.generation_config
        self.name_or_path = getattr(baseline, "name_or_path", "")

    def get_output_embeddings(self) -> Any:
        """The baseline's."""
        return self.baseline.get_output_embeddings()

    def get_input_embeddings(self) -> Any:
        """The baseline's."""
        return self.baseline.get_input_embeddings()

    def generate(self, *arguments: Any, **options: Any) -> Any:
        """As `transformers` generates, greedily or by sampling. Raises ValueError for beams: they would reorder one of two caches."""
        beams = options.get("num_beams") or getattr(options.get("generation_config"), "num_beams", None) or 1
        if beams > 1:
            raise ValueError(f"num_beams={beams}: {type(self).__name__} generates greedily or by sampling")
        transformers_own: Any = super()
        return transformers_own.generate(*arguments, **options)

    def save_pretrained(self, *_: Any, **__: Any) -> None:
        """Raises ValueError: there are no weights of its own."""
        raise ValueError(f"{type(self).__name__} has no weights of its own to save: keep its recipe")


def write_description(recipe: Recipe, target: Target, rundir: RunDirectory, *, reinforced: Path | None = None) -> Path:
    """Leaves `checkpoints/checkpoint-1`: a description and the tokenizer; returns `checkpoints/`.

    The description holds what `load_unlearned` reads: method and options; the `baseline`, folder or hub id; and where one was trained the
    `reinforced` model, as it stands from the checkpoint.
    """
    options, baseline = recipe.options.model_dump(mode="json"), recipe.model
    inputs = {"method": recipe.method, "options": options, "baseline": model_fingerprint(baseline)}
    description = {"method": recipe.method, "baseline": baseline, **options}
    if Path(baseline).is_dir():
        description["baseline"] = str(Path(baseline).resolve())
    if reinforced is not None:
        inputs["reinforced"], description["reinforced"] = model_fingerprint(reinforced), f"../../{reinforced.name}"
    checkpoints = rundir.claim("checkpoints", inputs)
    folder = checkpoints / "checkpoint-1"
    if processes().is_main_process and not folder.exists():
        with whole_folder(folder) as temporary:
            write_json(temporary / DESCRIPTION, description)
            target.tokenizer.save_pretrained(temporary)
    processes().wait_for_everyone()
    return checkpoints


def load_unlearned(checkpoint: Path | str, *, device: str = "auto", dtype: str = "auto") -> Any:
    """The model of any method's checkpoint, in evaluation mode: from its weights, or live from its description.

    `checkpoint`: `checkpoints/checkpoint-N` of a run; device and dtype are as of `load_model`. Raises ValueError: it is not there, or
    cannot be read.
    """
    folder = Path(checkpoint)
    path = folder / DESCRIPTION
    if not path.is_file():
        return load_model(folder, device=device, dtype=dtype)
    content = json_object(path)
    name = content.get("method")
    try:
        method = method_of(str(name))
    except ValueError:
        method = None
    if method is None or not method.live:
        raise ValueError(f"{str(path)!r}: no live model is known of method {name!r}")
    return method.module.load(content, folder, device=device, dtype=dtype)
