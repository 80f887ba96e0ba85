"""The miniature's tokenizer: byte-level BPE, trained on the rest alone."""

from collections import Counter
from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

PAD, BOS, EOS = "<pad>", "<s>", "</s>"


def train_tokenizer(rest: Sequence[str], *, vocabulary: int, context: int) -> PreTrainedTokenizerFast:
    """A tokenizer that puts BOS before every text, as Llama's does.

    Args:
        rest: text to train on; never the unlearn target.
        vocabulary: ids, 256 bytes and three special tokens among them.
        context: the model's, in tokens.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(rest, trainer)
    bos = (BOS, tokenizer.token_to_id(BOS))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[bos]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, bos_token=BOS, eos_token=EOS, model_max_length=context
    )


def token_counts(tokenizer: PreTrainedTokenizerFast, texts: Iterable[str]) -> Counter[int]:
    """How often each id occurs in texts, special tokens left out."""
    encoded = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return Counter(token for ids in encoded for token in ids)
