"""vLLM as an engine: fast generation, weights swapped in place.

Needs the extra `hp-bench[vllm]`. A swap is vLLM's own `reload_weights`, followed by `reset_prefix_cache`, without which answers come
from the old weights' cache, and on a CPU by packing a tied output layer anew; adapters are LoRA requests. The first swap of either kind
is checked against a fresh load by transformers.
"""

import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, GenerationConfig

from hp_bench.engines import NeedsAnotherEngine, fit, loading
from hp_bench.engines.source import Source, locate, require_sound, tensors_of
from unlearn.files import json_object

#: Largest difference of a log-likelihood from transformers' at the first swap, in nats, by type of the weights.
_TOLERANCE = {"float32": 1e-3, "bfloat16": 0.3, "float16": 0.1}

_CHECK_TEXT = "The old town lay by the river, and in the evening the lamps were lit one after the other."

#: Ranks that vLLM has kernels for.
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)

#: Longest prompt and completion where the user sets none, in tokens: longer than any of our prompts, and the cache stays small.
_MAX_MODEL_LEN = 4096


class VLLMEngine:
    """A model in a vLLM engine of this process; other arguments than these are as of `HFEngine`.

    Args:
        model: folder or hub id (or id@revision) of a whole model or of an unmerged LoRA adapter.
        device: auto; vLLM takes the accelerator it was built for.
        batch_size: auto lets vLLM decide.
        adapters: those to come; vLLM sets their ranks and modules aside before it starts.
        max_model_len: longest prompt and completion, in tokens.
        options: further arguments of lm-eval's `VLLM` (tensor_parallel_size, gpu_memory_utilization, ...).

    Raises ValueError: vLLM is not installed, or the model cannot be loaded.
    """

    name = "vllm"
    stored = True

    def __init__(
        self,
        model: str | Path,
        *,
        base: str | Path | None = None,
        tokenizer: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int | str | None = None,
        adapters: Sequence[str | Path] = (),
        max_model_len: int | None = None,
        **options: Any,
    ) -> None:
        # the engine in this process: it starts in a tenth of the time
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        # its default is stdout, where tables and JSON go
        os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        try:
            from lm_eval.models.vllm_causallms import VLLM
        except ImportError as error:
            raise ValueError(f"engine vllm needs vLLM: pip install 'hp-bench[vllm]' ({error})") from None
        if device not in ("auto", "cuda" if torch.cuda.is_available() else "cpu"):
            raise ValueError(f"engine vllm chooses its device itself, not {device!r}: leave it at auto")
        self.base = base
        self._source = source = locate(model, base=base)
        self._tokenizer = loading.load_tokenizer(source, tokenizer)
        self._config = AutoConfig.from_pretrained(source.whole.path, **source.whole.options)
        fit.require_decoder(self._config, source.name)
        fit.require_tokenizer(self._tokenizer, source.name)
        for part in {source, source.whole}:
            require_sound(part)  # vLLM itself would say nothing
        if not torch.cuda.is_available():
            os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
            options.setdefault("enforce_eager", True)
            dtype = "float32" if dtype == "auto" else dtype
        self._room = _Room.of([source, *(locate(adapter, base=base) for adapter in adapters)])
        options |= self._room.options()
        longest = int(getattr(self._config, "max_position_embeddings", _MAX_MODEL_LEN))
        length = max_model_len or min(_MAX_MODEL_LEN, longest)
        self._settings = self._neutral(source)
        # whatever a request says, vLLM adds the end tokens of this file
        self._settings_folder = tempfile.TemporaryDirectory()
        self._settings.save_pretrained(self._settings_folder.name)
        options["generation_config"] = self._settings_folder.name
        try:
            self.lm = type("Host", (fit.Examined, VLLM), {})(
                pretrained=source.whole.path, revision=source.whole.revision or None, dtype=dtype, max_model_len=length,
                tokenizer=tokenizer or (None if loading.own_tokenizer(source.whole) else source.path), batch_size=batch_size or "auto",
                **options,
            )  # fmt: skip
        except (RuntimeError, OSError, TypeError, ImportError, AssertionError) as error:
            raise ValueError(f"vLLM could not start with {source.name!r}: {loading.first_line(error)}") from error
        self.dtype = str(self.lm.model.llm_engine.model_config.dtype).removeprefix("torch.")
        self.model = str(model)
        self._checked: set[str] = set()
        self._adapters = 0
        self._begin_findings(source)
        if source.base is not None:
            self._put_on(source)

    def swap(self, checkpoint: Path | str) -> None:
        """Loads another checkpoint's weights into the running engine, or puts another adapter on it."""
        source = locate(checkpoint, base=self.base)
        loading.require_swappable(self._config, self._tokenizer, source)
        if not self._room.holds(_Room.of([source])):
            raise NeedsAnotherEngine(f"this engine was not started for adapters such as {source.name!r}")
        if self._neutral(source).eos_token_id != self._settings.eos_token_id:
            raise NeedsAnotherEngine(
                f"{source.name!r} ends its texts with other tokens than the model that this engine was started with"
            )
        if source.whole != self._source.whole or not self.model:
            if self._room.rank:
                raise NeedsAnotherEngine(
                    f"this engine was started for adapters of {self._source.whole.name!r}, not of {source.whole.name!r}"
                )
            require_sound(source)
            self.model = ""  # until it is known to hold the new weights it holds none that anyone may ask for
            self.lm.model.collective_rpc("reload_weights", kwargs={"weights_path": str(source.folder())})
            self._pack_tied(source)
            self.lm.model.reset_prefix_cache()
            self._check("weights", source)
        elif source.base is not None:
            require_sound(source)
            self.model = ""
            self._put_on(source)
        else:
            self.lm.lora_request = None
            self.lm.model.reset_prefix_cache()
        self._source, self.model = source, str(checkpoint)
        self._begin_findings(source)

    def close(self) -> None:
        """Shuts the engine down."""
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        with contextlib.suppress(AttributeError):
            self.lm.model.llm_engine.engine_core.shutdown()
        del self.lm.model
        cleanup_dist_env_and_memory()
        self._settings_folder.cleanup()

    def _neutral(self, source: Source) -> GenerationConfig:
        return fit.neutral_settings(fit.stored_settings(source), self._tokenizer)

    def _begin_findings(self, source: Source) -> None:
        self.lm.tokenizer.name_or_path = self._tokenizer.name_or_path  # of which `examine` tells
        self.lm.findings = fit.left_out(fit.stored_settings(source), self._tokenizer, source.whole.path)

    def _pack_tied(self, source: Source) -> None:
        """On a CPU, has vLLM pack a tied output layer anew, of which `reload_weights` leaves the old packed copy."""
        from vllm.platforms import current_platform

        if not current_platform.is_cpu() or not getattr(self._config.get_text_config(), "tie_word_embeddings", True):
            return
        try:
            self.lm.model.apply_model(_pack_output_layers)
        except TypeError as error:  # its engine runs in another process, which takes no functions
            raise NeedsAnotherEngine(
                f"the tied output layer of {source.name!r} is not swapped in an engine of another process: {loading.first_line(error)}"
            ) from error

    def _put_on(self, source: Source) -> None:
        from vllm.lora.request import LoRARequest

        self._adapters += 1  # vLLM keeps adapters by number: one that it has seen it would not read again
        if self.lm.lora_request is not None:
            self.lm.model.llm_engine.remove_lora(self.lm.lora_request.lora_int_id)
        self.lm.lora_request = LoRARequest(f"adapter-{self._adapters}", self._adapters, str(source.folder()))
        self.lm.model.reset_prefix_cache()
        self._source = source
        self._check("adapter", source)

    def _check(self, kind: str, source: Source) -> None:
        """Compares a text's log-likelihood with that of a fresh load by transformers, the first time."""
        if kind in self._checked:
            return
        from vllm import SamplingParams

        ids = self._tokenizer(_CHECK_TEXT)["input_ids"][:64]
        expected = loading.log_likelihoods(loading.load_model(source, dtype=self.dtype), ids)
        (output,) = self.lm.model.generate(
            [{"prompt_token_ids": ids}], SamplingParams(max_tokens=1, prompt_logprobs=1, temperature=0.0), use_tqdm=False,
            lora_request=self.lm.lora_request,
        )  # fmt: skip
        rows = zip(output.prompt_logprobs[1:], ids[1:], expected, strict=True)
        worst = max(abs(row[token].logprob - theirs) for row, token, theirs in rows)
        if not worst <= _TOLERANCE.get(self.dtype, 0.3):
            raise RuntimeError(
                f"after the swap vLLM's log-likelihoods differ from a fresh load of {source.name!r} by up to {worst:.2g} nats: its "
                "weights were not replaced as they should be; score it with --engine hf"
            )
        self._checked.add(kind)


@dataclass(frozen=True)
class _Room:
    """What an engine sets aside for adapters: the largest rank, 0 for none, and the last parts of the names of the modules they change."""

    rank: int = 0
    modules: frozenset[str] = frozenset()

    @classmethod
    def of(cls, sources: Sequence[Source]) -> "_Room":
        """Room for all of these; whole models need none. Raises ValueError: vLLM cannot serve one of them."""
        rank, modules = 0, set()
        for source in sources:
            if source.base is None:
                continue
            config = json_object(source.folder() / "adapter_config.json")
            if config.get("peft_type") != "LORA" or config.get("modules_to_save") or config.get("use_dora"):
                raise ValueError(
                    f"vLLM takes plain LoRA adapters, and {source.name!r} is more than that: score it with --engine hf"
                )
            ranks = [int(config.get("r") or 1), *map(int, (config.get("rank_pattern") or {}).values())]
            if max(ranks) > _RANKS[-1]:
                raise ValueError(
                    f"vLLM takes adapters up to rank {_RANKS[-1]}, not {max(ranks)} as {source.name!r} is: score it with --engine hf"
                )
            rank = max(rank, next(known for known in _RANKS if known >= max(ranks)))
            names = [name for name, _ in tensors_of(source.folder()) if ".lora_" in name]
            modules |= {name.split(".lora_")[0].rpartition(".")[2] for name in names}
        if "lm_head" in modules:
            # its share of prompt log-probabilities is computed as if each prompt were one token
            raise ValueError("vLLM gives no right log-likelihoods for an adapter on lm_head: score it with --engine hf")
        return cls(rank, frozenset(modules))

    def holds(self, other: "_Room") -> bool:
        """Whether another's adapters find room here."""
        return other.rank <= self.rank and other.modules <= self.modules

    def options(self) -> dict[str, Any]:
        """Arguments of vLLM. Without a list of modules it would take the output layer for one of them."""
        if not self.rank:
            return {}
        return {"enable_lora": True, "max_lora_rank": self.rank, "lora_target_modules": sorted(self.modules)}


def _pack_output_layers(model: torch.nn.Module) -> None:
    """Within vLLM: packs the weights of output layers that keep them unpacked too."""
    from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead, UnquantizedEmbeddingMethod

    for layer in model.modules():
        if isinstance(layer, ParallelLMHead) and isinstance(layer.quant_method, UnquantizedEmbeddingMethod):
            layer.quant_method.process_weights_after_loading(layer)
