"""Made-up prose for the rows that need much text: words as frequent as in English, names of an anchor dictionary among them; seeded."""

import random
from functools import cache

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from unlearn import Anchor

_WORDS = 20_000
_SYLLABLES = "bar ben cor dal dor elm fen gar hal hol kel lan mar mor nor os pel quin ral ros sel tam tor ul vor wen wil yar zel".split()
#: Share of words that are names: about what a novel has.
_NAMED = 0.05


def names(count: int, seed: int = 0) -> list[str]:
    """Different made-up names of one or two words."""
    rng = random.Random(f"names {seed}")
    found: dict[str, None] = {}
    while len(found) < count:
        parts = ["".join(rng.choices(_SYLLABLES, k=3)).capitalize() for _ in range(rng.choice((1, 1, 2)))]
        found[" ".join(parts)] = None
    return list(found)


def anchors(count: int, seed: int = 0) -> list[Anchor]:
    """An anchor a name, four translations each, none of them an anchor."""
    rng, taken = random.Random(f"translations {seed}"), names(count, seed)
    others = [name for name in names(3 * count, seed + 1) if name not in set(taken)]
    return [Anchor(name, tuple(rng.sample(others, k=4))) for name in taken]


def prose(characters: int, *, seed: int = 0, named: int = 1500) -> str:
    """Sentences and paragraphs, about so many characters.

    Args:
        characters: length.
        seed: of the choice of words.
        named: how many of `names` occur.
    """
    rng, (words, weights), known = random.Random(f"prose {seed}"), _words(), names(named)
    paragraphs: list[str] = []
    length = 0
    while length < characters:
        drawn = rng.choices(words, weights, k=2000)
        drawn = [rng.choice(known) if rng.random() < _NAMED else word for word in drawn]
        sentences, position = [], 0
        while position < len(drawn):
            size = rng.randint(5, 25)
            sentence = " ".join(drawn[position : position + size])
            comma = sentence.find(" ", len(sentence) // 2)
            if comma > 0 and rng.random() < 0.5:
                sentence = f"{sentence[:comma]},{sentence[comma:]}"
            sentences.append(sentence[0].upper() + sentence[1:] + rng.choice("...?!"))
            position += size
        for begin in range(0, len(sentences), 6):
            paragraphs.append(" ".join(sentences[begin : begin + 6]))
            length += len(paragraphs[-1]) + 1
    return "\n".join(paragraphs)[:characters]


@cache
def _words() -> tuple[list[str], list[float]]:
    from wordfreq import top_n_list, word_frequency

    words = [word for word in top_n_list("en", _WORDS) if word.isalpha()]
    return words, [word_frequency(word, "en") for word in words]


@cache
def tokenizer(vocabulary: int = 32_000) -> PreTrainedTokenizerFast:
    """A byte-level BPE trained on such prose, BOS in front as Llama's."""
    from tokenizers import processors

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=["<pad>", "<s>", "</s>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    made.train_from_iterator(prose(2_000_000, seed=1).splitlines(), trainer)
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", bos_token="<s>", eos_token="</s>")
