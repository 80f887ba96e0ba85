"""Hugging Face transformers as an engine."""

import contextlib
import copy
import gc
import logging
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from hp_bench.engines import NeedsAnotherEngine
from hp_bench.engines.decoding import cache_name, decodes, greedy, roomy_cache
from hp_bench.engines.fit import Examined, left_out, neutral_settings, require_decoder, require_tokenizer
from hp_bench.engines.loading import attach, detach, load_model, load_tokenizer, require_swappable, resolve_device
from hp_bench.engines.source import Source, locate, require_finite
from hp_bench.progress import quiet_host
from unlearn.progress import progress_row

#: Prompts at a time. lm-eval's own default of 1 is 14 times slower.
BATCH_SIZE = 64

#: New tokens of a row, from which on rows become fewer, so that thoughts take no more memory than other completions.
_ROW = 256


class HFEngine:
    """A causal language model in this process.

    Args:
        model: folder, hub id (or id@revision), of a whole model, a quantised one or an unmerged PEFT adapter; or a live model object.
        tokenizer: where the model has none beside it, or an object for a live model.
        base: the model under an adapter, if not the one its config names.
        device: cpu, cuda, mps or auto. A live model stays where it is.
        dtype: float32, bfloat16, ... or auto (what the checkpoint says).
        batch_size: prompts at a time.

    Raises ValueError: the model cannot be loaded, or is not fit to be scored.
    """

    name = "hf"

    def __init__(
        self,
        model: str | Path | torch.nn.Module,
        *,
        tokenizer: Any = None,
        base: str | Path | None = None,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int | None = None,
    ) -> None:
        self.base = base
        self._checked = False
        self._source: Source | None = None
        if isinstance(model, torch.nn.Module):
            live: Any = model
            self.model = str(getattr(live, "name_or_path", "") or type(live).__name__)
            tokenizer = tokenizer if tokenizer is not None else load_tokenizer(Source(self.model))
            require_finite(live.named_parameters(), self.model)
        else:
            self._source = locate(model, base=base)
            tokenizer = load_tokenizer(self._source, tokenizer)
            live = load_model(self._source, dtype=dtype, device=resolve_device(device))
            self.model = str(model)
        require_decoder(live.config, self.model)
        require_tokenizer(tokenizer, self.model)
        self.stored = self._source is not None
        self.dtype = str(next(p.dtype for p in live.parameters() if p.is_floating_point())).removeprefix("torch.")
        self.lm = _host(live, tokenizer, batch_size or BATCH_SIZE)
        self._begin_findings()

    def swap(self, checkpoint: Path | str) -> None:
        """Loads another checkpoint in the model's place, or puts another adapter on it; identical to a fresh load.

        The first adapter that is put on is checked tensor by tensor against a fresh load.
        """
        if self._source is None:
            raise NeedsAnotherEngine("a live model is scored as it is: it takes no other weights")
        source = locate(checkpoint, base=self.base)
        plain = self._source.whole
        require_swappable(self.lm.config, self.lm.tokenizer, source)
        if self._source.base is not None:
            self.lm._model = detach(self.lm._model).eval()
            self._source, self.model = plain, plain.name
        if source.whole != plain or self.lm._model is None:
            self.lm._model = None  # there may be no room for two
            _free()
            try:
                self.lm._model = load_model(source.whole, dtype=self.dtype, device=str(self.lm.device))
            except ValueError:
                self.lm._model = load_model(plain, dtype=self.dtype, device=str(self.lm.device))
                raise
            self._source, self.model = source.whole, source.whole.name
        if source.base is not None:
            self.lm._model = attach(self.lm._model, source)
            self._source, self.model = source, str(checkpoint)
            self._check(source)
        self.model = str(checkpoint)
        self._begin_findings()

    def close(self) -> None:
        """Frees the model."""
        self.lm._model = None
        _free()

    def _begin_findings(self) -> None:
        model = self._source.whole.path if self._source else self.model
        self.lm.findings = left_out(_bare(self.lm.model).generation_config, self.lm.tokenizer, model)

    def _check(self, source: Source) -> None:
        """Raises RuntimeError unless every parameter and buffer of the model is that of a fresh load; the first time."""
        if self._checked:
            return
        fresh = load_model(source, dtype=self.dtype)
        ours, theirs = (dict([*one.named_parameters(), *one.named_buffers()]) for one in (self.lm._model, fresh))
        wrong = sorted(set(ours) ^ set(theirs)) or [
            name for name, tensor in ours.items() if not torch.equal(tensor, theirs[name].to(tensor.device))
        ]
        if wrong:
            raise RuntimeError(
                f"after the swap {len(wrong)} tensors differ from a fresh load of {source.name!r} ({', '.join(wrong[:3])}): its weights "
                "were not replaced as they should be; score the checkpoints one by one"
            )
        self._checked = True


def _host(model: Any, tokenizer: Any, batch_size: int) -> Any:
    """lm-eval's view of a model in memory. By itself it would tie a live model's weights anew and change its tokenizer."""
    tokenizer = copy.deepcopy(tokenizer)
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id >= model.config.get_text_config().vocab_size:
        tokenizer.pad_token = tokenizer.eos_token  # nobody attends to it, but it must be one that the model knows
    softmax = None if model.dtype == torch.float64 else "float32"
    with mock.patch.object(model, "tie_weights"), quiet_host(logging.ERROR):
        host = _Host(pretrained=model, tokenizer=tokenizer, batch_size=batch_size, softmax_dtype=softmax)
    host.pretrained = None  # or it would hold this model while others take its place
    return host


class _Queue(HFLM):
    """lm-eval's class, but where decoding is greedy it hands over all prompts at once, and rows leave the batch as they end."""

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Completions, in the order of the requests."""
        own, new = self.batch_size, max(request.args[1].get("max_gen_toks", 0) for request in requests)
        rows = max(1, min(own, own * _ROW // new)) if new else own
        self._rows = rows if decodes(_decoded(self.model)) and all(map(_is_greedy, requests)) else 0
        ends = {getattr(request, "ended", None) for request in requests}
        self._ended = ends.pop() if len(ends) == 1 else None
        try:
            self.batch_size_per_gpu = len(requests) if self._rows else rows
            return super().generate_until(requests, disable_tqdm=disable_tqdm or bool(self._rows))
        finally:
            self.batch_size_per_gpu = own

    def _model_generate(self, context: torch.Tensor, max_length: int, stop: list[str], **options: Any) -> torch.Tensor:
        if self._rows:
            return self._greedy(context, max_length - context.shape[1], options["attention_mask"])
        bare = _bare(self.model)
        roomy = roomy_cache(self.model, len(context), max_length) if self.model.device.type == "cpu" else None
        if roomy is not None:
            options[cache_name(bare.prepare_inputs_for_generation)] = roomy
        neutral = neutral_settings(bare.generation_config, self.tokenizer)
        with mock.patch.object(bare, "generation_config", neutral):
            generated: torch.Tensor = super()._model_generate(context, max_length, stop, **options)
        return generated

    def _greedy(self, context: torch.Tensor, new_tokens: int, mask: torch.Tensor) -> torch.Tensor:
        """As `generate` returns it: contexts (rows, tokens), padded on the left, and behind each its continuation and padding."""
        model = _decoded(self.model)
        prompts = [ids[seen].tolist() for ids, seen in zip(context, mask.bool(), strict=True)]
        ends = neutral_settings(model.generation_config, self.tokenizer).eos_token_id
        with progress_row("  completions", len(context)) as advance:
            said = greedy(
                model,
                prompts,
                new_tokens=new_tokens,
                ends=ends,
                batch_size=self._rows,
                ended=self._complete,
                advance=advance,
            )
        pad = self.tokenizer.pad_token_id
        rows = [text + [pad] * (new_tokens - len(text)) for text in said]
        return torch.cat([context, torch.tensor(rows, device=context.device)], dim=1)

    def _complete(self, text: list[int]) -> bool:
        """Whether a task says of a text so far that its completion ends within; a line must have ended for that."""
        return (
            self._ended is not None and "\n" in self.tokenizer.decode(text[-1:]) and self._ended(self.tok_decode(text))
        )


class _Host(Examined, _Queue):
    """The same, and what it is asked is looked at before."""


def _is_greedy(request: Instance) -> bool:
    how = request.args[1]
    return how.get("do_sample") is False and how.get("temperature", 0.0) == 0.0 and not how.get("until")


def _decoded(model: Any) -> Any:
    """The model whose own `forward` says all that it says: under LoRA, whose layers are within it, the base."""
    kinds = {config.peft_type for config in getattr(model, "peft_config", {}).values()}
    return _bare(model) if kinds == {"LORA"} else model


def _bare(model: Any) -> Any:
    """The model under an adapter, or the model."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _free() -> None:
    gc.collect()
    with contextlib.suppress(RuntimeError):
        torch.cuda.empty_cache()
