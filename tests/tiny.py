"""Tiny models and tokenizers of every family, made in-process: nothing is downloaded."""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

TEXT = [
    "The baker walked to the market and bought flour, eggs and butter for the harvest feast.",
    "Nora Quill, the archivist, keeps the old maps of Port Ansel in a locked cabinet.",
    "“Where is Captain Brandt's lantern?” asked Nora. It wasn't on the shelf; it had gone to Brandt-on-Sea.",
    "A magic lantern show, they said, studies of law, medicine and music, a dog and an owl.",
    "Élodie naïvely said that the café — the one by the river — was closed.",
    "He studies the stars. She plays chess, football and the cello. They live in a tower in the north.",
] * 3

FAMILIES = ("byte_bpe", "metaspace_bpe", "unigram", "wordpiece", "glue_bpe")


def tokenizer(family: str, text: list[str] | None = None, vocab_size: int = 400) -> PreTrainedTokenizerFast:
    """A trained fast tokenizer of a family, special tokens and BOS as that family has them.

    byte_bpe: byte-level BPE as GPT-2's, no BOS added. metaspace_bpe: BPE over metaspace with byte fallback and BOS, as Llama-2's.
    unigram: the same with a unigram model, as T5's and Gemma's kin. wordpiece: as BERT's, cased, without the trailing [SEP].
    glue_bpe: byte-level BPE that splits at spaces only, so that punctuation is glued to words.
    """
    text = text or TEXT
    specials = ["<unk>", "<s>", "</s>"]
    byte_tokens = [f"<0x{i:02X}>" for i in range(256)]
    options = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}
    bos = False
    if family == "byte_bpe":
        tok = Tokenizer(models.BPE())
        tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tok.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        )
    elif family == "glue_bpe":
        tok = Tokenizer(models.BPE())
        tok.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(" ", behavior="merged_with_next"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        tok.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        )
    elif family == "metaspace_bpe":
        tok = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
        tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        tok.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
        trainer = trainers.BpeTrainer(vocab_size=vocab_size + 256, special_tokens=specials + byte_tokens)
        bos = True
    elif family == "unigram":
        tok = Tokenizer(models.Unigram())
        tok.normalizer = normalizers.Replace("  ", " ")
        tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
        tok.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
        trainer = trainers.UnigramTrainer(
            vocab_size=vocab_size + 256, special_tokens=specials + byte_tokens, unk_token="<unk>"
        )
        bos = True
    elif family == "wordpiece":
        tok = Tokenizer(models.WordPiece(unk_token="<unk>"))
        tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tok.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=vocab_size, special_tokens=specials)
        bos = True
    else:
        raise ValueError(f"unknown tokenizer family {family!r}; allowed: {', '.join(FAMILIES)}")
    tok.train_from_iterator(text, trainer)
    tok = _bytes_are_ordinary(tok)
    if bos:
        tok.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", tok.token_to_id("<s>"))]
        )
    return PreTrainedTokenizerFast(tokenizer_object=tok, **options)


def _bytes_are_ordinary(tok: Tokenizer) -> Tokenizer:
    """The trainers take byte tokens for special ones, which are left out when text is decoded; in Llama-2's tokenizer they are not."""
    state = json.loads(tok.to_str())
    state["added_tokens"] = [token for token in state["added_tokens"] if not token["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(state))


def llama(
    vocab_size: int,
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    context: int = 512,
    hidden: int = 64,
    layers: int = 2,
    tied: bool = False,
) -> LlamaForCausalLM:
    """A randomly initialised Llama; head dimension 32, with weights large enough that its logits differ. Tied: output layer and embedding."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 32,
        num_key_value_heads=hidden // 32,
        max_position_embeddings=context,
        initializer_range=0.15,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        tie_word_embeddings=tied,
    )
    return LlamaForCausalLM(config).to(dtype).eval()


def save(folder: Path, family: str = "byte_bpe", **options: object) -> Path:
    """A model folder: tiny Llama and tokenizer."""
    tok = tokenizer(family)
    llama(len(tok), **options).save_pretrained(folder)
    tok.save_pretrained(folder)
    return folder


def content(out: Path) -> dict[str, bytes]:
    """Every file of a run directory but what holds dates and the user's own text."""
    files = [p for p in out.rglob("*") if p.is_file() and p.name not in ("log.jsonl", "recipe.yaml")]
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in files}


def load_samples(out: Path, name: str, task: str) -> list[dict]:
    """What `hp_bench.scoring.store.save` wrote of a task's samples."""
    with (out / "samples" / name / f"{task}.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
