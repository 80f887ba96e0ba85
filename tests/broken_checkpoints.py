"""Checkpoints with one thing wrong, and what is said of each."""

import shutil
from pathlib import Path

import tiny
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from hp_bench.engines import DoesNotFit


def broken(place: Path, folder: Path, how: str) -> Path:
    """A copy of checkpoint-10 with one thing wrong."""
    source = place / ("lora" if how.startswith("adapter") else "full") / "checkpoint-10"
    if how == "shard":
        model = AutoModelForCausalLM.from_pretrained(source)
        model.save_pretrained(folder, max_shard_size="100KB")
        (folder / "model-00002-of-00006.safetensors").unlink()
        return folder
    if how == "architecture":
        return tiny.save(folder, layers=3)
    if how == "family":
        GPT2LMHeadModel(GPT2Config(vocab_size=400, n_embd=32, n_layer=1, n_head=1)).save_pretrained(folder)
        return folder
    if how == "tokenizer":
        shutil.copytree(source, folder)
        words = ["Other words altogether, so that pieces are merged in another order: zyx, zyxwv, qqq."] * 9
        tiny.tokenizer("byte_bpe", words, vocab_size=400).save_pretrained(folder)
        return folder
    if how == "folder":
        return folder
    shutil.copytree(source, folder)
    name = "adapter_model.safetensors" if how.startswith("adapter") else "model.safetensors"
    if how == "cut":
        (folder / name).write_bytes((folder / name).read_bytes()[:-1000])
    elif how == "empty":
        (folder / name).unlink()
    elif how == "config":
        (folder / "config.json").write_text("{")
    else:
        weights = load_file(folder / name)
        key = next(key for key in sorted(weights) if how.endswith("shape") or "down_proj" in key or "lora_B" in key)
        if how.endswith("nan"):
            weights[key][0, 0] = float("nan")
        elif how.endswith("missing"):
            del weights[key]
        elif how.endswith("shape"):
            weights[key] = torch.zeros(4, 7)
        save_file(weights, folder / name, metadata={"format": "pt"})
    return folder


WRONG = {
    "shard": (ValueError, r"lacks 1 of its 6 weight files: model-00002-of-00006\.safetensors"),
    "nan": (ValueError, r"are no numbers: model\.layers\.0\.mlp\.down_proj\.weight holds NaN or infinity"),
    "missing": (ValueError, r"lacks 1 of its weights: model\.layers\.0\.mlp\.down_proj\.weight"),
    "cut": (ValueError, "model.safetensors of .* is cut short or broken"),
    "empty": (ValueError, "holds no weights"),
    "config": (ValueError, "config.json' is not JSON: "),
    "folder": (ValueError, "does not exist"),
    "architecture": (DoesNotFit, "another architecture than the model loaded .*num_hidden_layers: 2 against 3"),
    "family": (DoesNotFit, "another architecture than the model loaded"),
    "tokenizer": (DoesNotFit, "another tokenizer|splits text otherwise"),
    "adapter-nan": (ValueError, "are no numbers: .*lora_B.* holds NaN"),
    "adapter-missing": (ValueError, "lacks some of its weights: .*lora_B"),
    "adapter-shape": (ValueError, "does not fit its base"),
}
