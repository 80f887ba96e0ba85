"""A baseline and a reinforced model, and blocks of text to label, for the rows of labelling: made up, or of a run of `make real`."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import prose

#: Threads of both sides.
THREADS = int(os.environ.get("HP_BENCH_THREADS", "2"))


def models(vocabulary: int, *, layers: int, hidden: int, dtype: str = "float32") -> list[Any]:
    """Two Llamas; weights large enough that their logits differ clearly."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(THREADS)
    shape = LlamaConfig(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=4 * hidden, num_hidden_layers=layers,
        num_attention_heads=hidden // 64, num_key_value_heads=hidden // 64, max_position_embeddings=1024, initializer_range=0.1,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    made = []
    for seed in range(2):
        torch.manual_seed(seed)
        made.append(LlamaForCausalLM(shape).to(getattr(torch, dtype)).eval())
    return made


def run_models(run: Path, *, dtype: str = "float32") -> list[Any]:
    """The baseline and the reinforced model of a run of `make real`.

    Raises:
        ValueError: the folder holds none.
    """
    import torch

    from unlearn.models import load_model

    torch.set_num_threads(THREADS)
    folders = (run.parent / "models" / "taught", run / "reinforced")
    if missing := [str(one) for one in folders if not one.is_dir()]:
        raise ValueError(
            f"{missing[0]!r} is no model; HP_BENCH_RUN names a run of `make real`, by default runs/real/whp"
        )
    return [load_model(one, device="cpu", dtype=dtype) for one in folders]


class Work:
    """Blocks to label, and both ways to label them: of prose, 512 tokens each, or of the companion as a run's recipe cuts it.

    Args:
        blocks: how many.
        vocabulary: of the tokenizer of prose.
        run: the folder of a run of `make real`.
    """

    def __init__(self, blocks: int, vocabulary: int = 32_000, run: Path | None = None) -> None:
        from unlearn import AnchorDictionary, LabelSettings
        from unlearn.corpus.blocks import Blocks, grouped
        from unlearn.corpus.corpus import Corpus, Document
        from unlearn.labels.rule_two import frequent_tokens
        from unlearn.models import load_tokenizer
        from unlearn.recipe import Recipe

        if run is None:
            self.tokenizer, self.settings = prose.tokenizer(vocabulary), LabelSettings()
            self.anchors = AnchorDictionary.build(prose.anchors(1500))
            corpus = Corpus([Document("prose", prose.prose(3_500 * blocks + 10_000))])
        else:
            recipe = Recipe.load(run / "recipe.yaml")
            self.tokenizer, self.settings = load_tokenizer(run / "reinforced"), recipe.labels.settings(recipe.seed)
            if self.settings.inside:
                raise ValueError(
                    f"{str(run)!r} has labels inside names, which the floor does not read; HP_BENCH_RUN=runs/real/whp"
                )
            self.anchors = AnchorDictionary.load(run / "anchors.jsonl")
            corpus = Corpus(str(run.parent / "text" / "companion.jsonl"))
        cut = Blocks.open(corpus, self.tokenizer, self.settings.block_tokens)
        made = grouped(cut, self.settings.batch_blocks)
        self.batches = [next(made) for _ in range(blocks // self.settings.batch_blocks)]
        self.texts = [block.text for batch in self.batches for block in batch]
        self.tokens = sum(len(block.encoding.ids) for batch in self.batches for block in batch)
        self.frequent = frequent_tokens(cut)

    def ours(self, pair: list[Any]) -> Callable[[], list[list[int]]]:
        """Labels by `unlearn.labels.labeller.Labeller`, what `make_labels` runs."""
        from unlearn.labels.labeller import Labeller

        labeller = Labeller(*pair, self.tokenizer, self.anchors, self.settings, frequent=self.frequent)
        return lambda: [row["labels"] for batch in self.batches for row in labeller(batch)[0]]

    def textbook(self, pair: list[Any]) -> Callable[[], list[list[int]]]:
        """Labels by `benchmarks.textbook`."""
        from benchmarks.textbook import textbook_labels

        return lambda: textbook_labels(*pair, self.tokenizer, self.texts, self.anchors.anchors, self.frequent)

    def floor(self, pair: list[Any]) -> Callable[[], None]:
        """The two backbone forwards and the two head products on kept positions, nothing else; what to read is made beforehand."""
        import numpy as np
        import torch

        from unlearn.labels.align import align
        from unlearn.labels.rule_two import ForbiddenIds

        forbidden = ForbiddenIds(self.tokenizer, self.frequent, self.settings.forbid)
        prepared = []
        for batch in self.batches:
            aligned, _ = align(batch, self.tokenizer, self.anchors, self.settings, forbidden)
            for model, encodings, positions in (
                (pair[0], [a.translated_encoding.ids for a in aligned], [a.translated_positions for a in aligned]),
                (pair[1], [a.block.encoding.ids for a in aligned], [a.source_positions for a in aligned]),
            ):
                longest = max(map(len, encodings))
                ids = torch.zeros(len(encodings), longest, dtype=torch.long)
                mask = torch.zeros_like(ids)
                for n, one in enumerate(encodings):
                    ids[n, : len(one)], mask[n, : len(one)] = torch.from_numpy(one), 1
                rows = torch.from_numpy(np.concatenate([p + n * longest for n, p in enumerate(positions)]))
                prepared.append((model, ids, mask, rows))

        @torch.inference_mode()
        def run() -> None:
            for model, ids, mask, rows in prepared:
                hidden = model.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
                for part in hidden.flatten(0, 1)[rows].split(128):
                    model.lm_head(part)

        return run


def agreement(ours: list[list[int]], theirs: list[list[int]]) -> float:
    """Share of positions, labelled by either, at which both hold the same label."""
    pairs = [
        (a, b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True) if (a, b) != (-100, -100)
    ]
    return sum(a == b for a, b in pairs) / len(pairs)


def memory(name: str) -> float:
    """A line of /proc/self/status (Linux), MiB: VmRSS now, VmHWM at its highest."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise RuntimeError(f"this system does not tell {name}")
    return int(found.group(1)) / 1024


def forget_peak(*models: Any) -> None:
    """The high-water mark of memory begins anew (Linux), once all weights are in memory: a file's are read when they are first used."""
    for model in models:
        for parameter in model.parameters():
            parameter.sum()
    Path("/proc/self/clear_refs").write_text("5")
