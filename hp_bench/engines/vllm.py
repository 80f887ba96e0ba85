"""vLLM as an engine: fast generation, weights swapped in place.

Needs the extra `hp-bench[vllm]`. A swap is vLLM's own `reload_weights`, followed by `reset_prefix_cache`, without which answers come
from the old weights' cache; the first swap of an engine is checked against a fresh load by transformers.
"""

import os
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from hp_bench.engines.compatible import same_architecture, same_tokenizer

#: Largest difference of a log-likelihood from transformers' at the first swap, in nats, by type of the weights.
_TOLERANCE = {"float32": 1e-3, "bfloat16": 0.3, "float16": 0.1}
_CHECK_TEXT = "The old town lay by the river, and in the evening the lamps were lit one after the other."


class VLLMEngine:
    """A model in a vLLM engine of this process.

    Args:
        model: folder or hub id.
        dtype: float32, bfloat16, ... or auto.
        max_model_len: longest prompt and completion, in tokens.
        options: further arguments of lm-eval's `VLLM` (tensor_parallel_size, gpu_memory_utilization, ...).

    Raises:
        ValueError: vLLM is not installed.
    """

    name = "vllm"

    def __init__(
        self,
        model: str | Path,
        *,
        dtype: str = "auto",
        max_model_len: int | None = None,
        batch_size: int | str = "auto",
        **options: Any,
    ) -> None:
        os.environ.setdefault(
            "VLLM_ENABLE_V1_MULTIPROCESSING", "0"
        )  # the engine in this process: starts in a tenth of the time
        try:
            from lm_eval.models.vllm_causallms import VLLM
        except ImportError as error:
            raise ValueError(f"engine vllm needs vLLM: pip install 'hp-bench[vllm]' ({error})") from None
        self.model = str(model)
        if not torch.cuda.is_available():
            os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
            options.setdefault("enforce_eager", True)
            dtype = "float32" if dtype == "auto" else dtype
        self.lm = VLLM(
            pretrained=self.model, dtype=dtype, max_model_len=max_model_len, batch_size=batch_size, **options
        )
        self._config = AutoConfig.from_pretrained(self.model)
        self._tokenizer = AutoTokenizer.from_pretrained(self.model)
        self.dtype = str(self.lm.model.llm_engine.model_config.dtype).removeprefix("torch.")
        self._checked = False

    def swap(self, checkpoint: Path | str) -> None:
        """Loads another checkpoint's weights into the running engine."""
        checkpoint = str(checkpoint)
        same_architecture(self._config, AutoConfig.from_pretrained(checkpoint), checkpoint)
        same_tokenizer(self._tokenizer, checkpoint)
        self.lm.model.collective_rpc("reload_weights", kwargs={"weights_path": checkpoint})
        self.lm.model.reset_prefix_cache()
        if not self._checked:
            self._check(checkpoint)
            self._checked = True
        self.model = checkpoint

    def _check(self, checkpoint: str) -> None:
        """Compares a text's log-likelihood with that of a fresh load by transformers."""
        from vllm import SamplingParams

        ids = self._tokenizer(_CHECK_TEXT)["input_ids"][:64]
        with torch.inference_mode():
            fresh = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=getattr(torch, self.dtype)).eval()
            logits = fresh(torch.tensor([ids])).logits[0].float().log_softmax(-1)
        expected = [float(logits[i, token]) for i, token in enumerate(ids[1:])]
        (output,) = self.lm.model.generate(
            [{"prompt_token_ids": ids}], SamplingParams(max_tokens=1, prompt_logprobs=1, temperature=0.0), use_tqdm=False
        )  # fmt: skip
        found = [row[token].logprob for row, token in zip(output.prompt_logprobs[1:], ids[1:], strict=True)]
        worst = max(abs(a - b) for a, b in zip(expected, found, strict=True))
        if worst > _TOLERANCE.get(self.dtype, 0.3):
            raise RuntimeError(
                f"after the swap vLLM's log-likelihoods differ from a fresh load of {checkpoint!r} by up to {worst:.2g} nats: its "
                "weights were not replaced as they should be; score the checkpoints one by one"
            )
