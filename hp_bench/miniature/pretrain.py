"""Trains one model of a miniature, on one thread.

One thread, since matrices this small gain little from a second, and since the order of additions, and with it every byte of the weights,
would depend on the number of threads.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.nn import functional
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from hp_bench.miniature.settings import Plan, Settings
from unlearn.files import json_lines, whole_folder
from unlearn.progress import progress_row

BASELINE = "baseline"

PAD, BOS, EOS = "<pad>", "<s>", "</s>"

_BETAS = (0.9, 0.95)

_MAX_GRAD_NORM = 1.0


def batches(
    rest: Sequence[list[int]], target: Sequence[list[int]], settings: Settings, seed: int
) -> list[list[list[int]]]:
    """Token ids of every batch, in order, from encoded stories; those of the target, none for a twin, are repeated as often as needed.

    Rows of like length share a batch, so that little is padded. The rest's rows, and their order, do not depend on the target: without
    it the same batches are only shorter.
    """
    rows = settings.rest_rows
    by_length = sorted(rest, key=len)
    made = [by_length[step * rows : (step + 1) * rows] for step in range(settings.steps)]
    if target:
        rows = settings.target_rows
        by_length = sorted(islice(cycle(target), settings.steps * rows), key=len)
        made = [batch + by_length[step * rows : (step + 1) * rows] for step, batch in enumerate(made)]
    random.Random(f"order {seed}").shuffle(made)
    return made


def initial_model(settings: Settings, tokenizer: PreTrainedTokenizerBase, *, seed: int) -> LlamaForCausalLM:
    """A Llama with random weights; embeddings tied, as a name that was read is then easier to say again."""
    torch.manual_seed(seed)
    heads = settings.width // 32
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=settings.width, intermediate_size=settings.inner, num_hidden_layers=settings.layers,
        num_attention_heads=heads, num_key_value_heads=heads, max_position_embeddings=settings.context,
        initializer_range=settings.initial_range, tie_word_embeddings=True, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def train(model: LlamaForCausalLM, rows: Sequence[Sequence[Sequence[int]]], settings: Settings) -> Iterator[float]:
    """Trains in place by AdamW; yields each step's loss, nats per token."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=_BETAS)
    warmup, steps, pad = settings.warmup, len(rows), int(model.config.pad_token_id or 0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warmup) * (steps - step) / steps
    )
    model.train()
    for batch in rows:
        longest = max(map(len, batch))
        # padding stands behind the text, where causal attention never looks back to it
        ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in batch])
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
        loss = functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=pad)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), _MAX_GRAD_NORM)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        yield loss.item()


def model_seed(seed: int, name: str) -> int:
    """The seed of a model's initial weights: the miniature's own for the baseline, another for each twin."""
    return seed if name == BASELINE else int.from_bytes(hashlib.sha256(f"{name} {seed}".encode()).digest()[:4], "big")


def pretrain(text: Path, name: str, out: Path) -> None:
    """Trains the model called `name` on the text of a miniature and writes it to `out`; in a process of its own."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    plan = Plan.load(text / "plan.json")
    tokenizer = AutoTokenizer.from_pretrained(text / "tokenizer")
    rest = _encoded(text / "rest.jsonl", tokenizer)
    target = _encoded(text / "target.jsonl", tokenizer) if name == BASELINE else []
    rows = batches(rest, target, plan.settings, plan.seed)
    model = initial_model(plan.settings, tokenizer, seed=model_seed(plan.seed, name))
    with progress_row("pretraining", len(rows)) as advance, whole_folder(out) as folder:
        for _ in train(model, rows, plan.settings):
            advance()
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _encoded(path: Path, tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Stories as ids, each between BOS and EOS."""
    texts = [row["text"] for _, row in json_lines(path)]
    return [[*ids, tokenizer.eos_token_id] for ids in tokenizer(texts)["input_ids"]]


def train_tokenizer(rest: Sequence[str], *, vocabulary: int, context: int) -> PreTrainedTokenizerFast:
    """A tokenizer that puts BOS before every text, as Llama's does; trained on the rest, never on the unlearn target.

    `vocabulary`: ids, 256 bytes and three special tokens among them; `context`: the model's, in tokens.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[PAD, BOS, EOS], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(rest, trainer)
    bos = (BOS, tokenizer.token_to_id(BOS))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[bos]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, bos_token=BOS, eos_token=EOS, model_max_length=context
    )
