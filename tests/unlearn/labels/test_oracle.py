"""The oracle against answers worked out by hand, sentence by sentence of docs/method.md."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

sys.path.insert(0, str(Path(__file__).parents[2]))

import oracle
import tiny


@pytest.fixture(autouse=True)
def one_thread():
    """Rows this short gain nothing from threads, and on shared cores the threads wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# ------------------------------------------------------------------------------------- tokenizers small enough to read


def by_hand(pieces, split, bos=True, eos=False):
    """One token per piece of `split`; ids are places in `pieces`, after <unk> 0, <s> 1 and </s> 2."""
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2}
    for piece in pieces:
        assert piece not in vocab
        vocab[piece] = len(vocab)
    tok = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    tok.pre_tokenizer = split
    if bos or eos:
        tok.post_processor = processors.TemplateProcessing(
            single=("<s> " if bos else "") + "$A" + (" </s>" if eos else ""),
            special_tokens=[("<s>", 1), ("</s>", 2)],
        )
    return PreTrainedTokenizerFast(tokenizer_object=tok, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def words(*pieces, **options):
    """A token is a word with the one space before it, or a punctuation mark alone."""
    split = pre_tokenizers.Sequence([pre_tokenizers.Split(" ", "merged_with_next"), pre_tokenizers.Punctuation()])
    return by_hand(pieces, split, **options)


def glued(*pieces, **options):
    """A token is a word with the one space before it and every punctuation mark on it."""
    return by_hand(pieces, pre_tokenizers.Split(" ", "merged_with_next"), **options)


def spaces_alone(*pieces, **options):
    """A run of white space is a token of its own, and so is a word."""
    return by_hand(pieces, pre_tokenizers.Split(Regex(r"\s+"), "isolated"), **options)


def characters(alphabet, **options):
    return by_hand(alphabet, pre_tokenizers.Split(Regex(r"(?m)."), "isolated"), **options)


def utf8(bos=False):
    """Every byte is a token: an accented letter is two that end at one character, an emoji four. No BOS, no merges."""
    vocab = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tok = Tokenizer(models.BPE(vocab, []))
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=tok)


class Chosen:
    """A model that returns chosen logits: `choose(ids, position)` gives the row."""

    def __init__(self, choose, dtype=torch.float32):
        self.choose, self.dtype, self.seen = choose, dtype, []

    def __call__(self, input_ids):
        assert input_ids.shape[0] == 1
        ids = input_ids[0].tolist()
        self.seen.append(ids)
        rows = [self.choose(ids, position) for position in range(len(ids))]
        return SimpleNamespace(logits=torch.tensor([rows], dtype=self.dtype))


def one_hot(size, high):
    """Logit 1 at `high(position)`, 0 elsewhere."""
    return Chosen(lambda ids, position: [1.0 if token == high(position) else 0.0 for token in range(size)])


def anchor(name, *translations, entity=None):
    record = {"anchor": name, "translations": list(translations or ("X",))}
    if entity is not None:
        record["entity"] = entity
    return record


def found(text, *names):
    return [(start, end) for start, end, _ in oracle.find_anchors(text, [anchor(name) for name in names])]


WHERE = {"seed": 0, "document": "book", "block": 0}


def mapped(source, anchors, tokenizer):
    return oracle.position_map(source, anchors, tokenizer, **WHERE)


# --------------------------------------------------------------------------------------------------------- Anchors


def test_case_sensitive_whole_words():
    assert found("Nora met nora, NORA.", "Nora") == [(0, 4)]
    assert found("Noras Nora2 2Nora _Nora Nora_ aNora Nora", "Nora") == [(36, 40)]


def test_edges_of_the_text():
    assert found("Nora", "Nora") == [(0, 4)]
    assert found("Nora met Nora", "Nora") == [(0, 4), (9, 13)]
    assert found("Nor", "Nora") == []
    assert found("", "Nora") == []


def test_possessives_hyphens_quotes():
    assert found("Nora's map, Nora’s map", "Nora") == [(0, 4), (12, 16)]
    assert found("Brandt-on-Sea", "Brandt") == [(0, 6)]
    assert found("Brandt-on-Sea", "Brandt", "Brandt-on-Sea") == [(0, 13)]
    assert found("“Nora”", "Nora") == [(1, 5)]
    assert found("‘Nora’", "Nora") == [(1, 5)]


def test_accents_chinese_emoji():
    assert found("Élodie, café", "Élodie", "lodie", "caf", "Éloïse") == [(0, 6)]
    assert found("我在北京，北京。", "北京") == [(5, 7)]  # 在 is a letter, so the first is inside a longer word
    assert found("🦉Nora🦉", "Nora") == [(1, 5)]
    assert found("an 🦉 and x🦉", "🦉") == [(3, 4)]


def test_digits_that_are_not_ascii_are_digits():
    assert found("Nora٣ Nora² Nora", "Nora") == [(12, 16)]


def test_longest_at_one_place_whatever_the_order():
    for names in (("Malfoy", "Malfoy Manor"), ("Malfoy Manor", "Malfoy")):
        assert found("Malfoy Manor, Malfoy", *names) == [(0, 12), (14, 20)]
        # the longer one is no whole word there, so it is no match and shadows nothing
        assert found("Malfoy Manors", *names) == [(0, 6)]


def test_leftmost_before_longest():
    assert found("Port Ansel Maps Company", "Ansel Maps Company", "Port Ansel") == [(0, 10)]
    # what overlaps a kept one is dropped, what follows is looked at again
    assert found("Port Ansel Maps Company", "Ansel Maps Company", "Port Ansel", "Maps") == [(0, 10), (11, 15)]
    assert found("A B A B A", "A B A") == [(0, 5)]


def test_nested():
    assert found("the Order of Port Ansel", "Ansel", "Port Ansel", "Order of Port Ansel") == [(4, 23)]


def test_side_by_side():
    assert found("Nora Quill", "Nora", "Quill") == [(0, 4), (5, 10)]
    assert found("“Nora”“Quill”", "“Nora”", "“Quill”") == [(0, 6), (6, 13)]


# ------------------------------------------------------------------------------------------------------------ Draw


@pytest.mark.parametrize(
    ("seed", "document", "block", "entity", "first_8_bytes"),
    [  # printf '7\x1fbook\x1f3\x1fNora' | sha256sum
        (7, "book", 3, "Nora", 0xD1949D7AD72B2F83),
        (0, "book", 0, "Nora", 0x379F7C6EC8276B0C),
        (7, "café", 12, "Élodie", 0xEFF1C3DC9586A948),
    ],
)
def test_draw(seed, document, block, entity, first_8_bytes):
    for count in (1, 2, 3, 5, 1000):
        assert oracle.draw(seed, document, block, entity, count) == first_8_bytes % count


def test_one_draw_per_entity_and_block():
    # 'Nora' draws index 0 in book/1 (…92) and index 1 in 7/book/3 (…83, odd)
    anchors = [anchor("Nora", "Jane", "Ann"), anchor("Quill", "Reed", "Finch", entity="Nora")]
    text = "Nora Quill and Nora"
    assert oracle.translate(text, anchors, seed=0, document="book", block=1)[0] == "Jane Reed and Jane"
    assert oracle.translate(text, anchors, seed=7, document="book", block=3)[0] == "Ann Finch and Ann"


def test_translate_says_where():
    one, two = anchor("Nora", "X"), anchor("Port Ansel", "the old town")
    text, occurrences = oracle.translate("“Nora” saw Port Ansel", [one, two], **WHERE)
    assert text == "“X” saw the old town"
    assert occurrences == [(1, 5, 1, 2, one, "X"), (11, 21, 8, 20, two, "the old town")]


def test_translate_side_by_side():
    text, occurrences = oracle.translate("“Nora”“Quill”", [anchor("“Nora”", "A"), anchor("“Quill”", "BC")], **WHERE)
    assert text == "ABC"
    assert [o[:4] for o in occurrences] == [(0, 6, 0, 1), (6, 13, 1, 3)]


def test_entities_of_unequal_length_are_refused():
    with pytest.raises(AssertionError):
        oracle.translate("Nora", [anchor("Nora", "A", "B"), anchor("Quill", "A", entity="Nora")], **WHERE)


# ------------------------------------------------------------------------------------------------ Position mapping


def test_an_anchor_of_more_tokens():
    # <s> Hi|, Port| Ansel|,| she      0..5: 0 <s>, 1 'Hi', 2 ' Port', 3 ' Ansel', 4 ',', 5 ' she'
    # <s> Hi| town|,| she              0 <s>, 1 'Hi', 2 ' town', 3 ',', 4 ' she'
    tok = words("Hi", " Port", " Ansel", " town", ",", " she")
    assert mapped("Hi Port Ansel, she", [anchor("Port Ansel", "town")], tok) == {0: 0, 1: 1, 3: 2, 4: 3}


def test_a_translation_of_more_tokens():
    tok = words("Hi", " Nora", " the", " old", " baker", ",", " she")
    assert mapped("Hi Nora, she", [anchor("Nora", "the old baker")], tok) == {0: 0, 1: 1, 2: 4, 3: 5}


def test_the_last_token_predicts_nothing():
    tok = words("Hi", " Nora", " Ann")
    assert mapped("Hi Nora", [anchor("Nora", "Ann")], tok) == {0: 0, 1: 1}
    assert mapped("Hi", [], tok) == {0: 0}


def test_an_anchor_at_the_start_with_and_without_bos():
    pieces = ("Nora", " Quill", "Jane", " met", " Ann")
    # the prefix up to character 0 is empty: <s> maps to <s>, the anchor's end to the translation's end
    assert mapped("Nora Quill met", [anchor("Nora Quill", "Jane")], words(*pieces)) == {0: 0, 2: 1}
    assert mapped("Nora Quill met", [anchor("Nora Quill", "Jane")], words(*pieces, bos=False)) == {1: 0}


def test_anchors_side_by_side():
    # characters: <s> (A)(B). -> <s> xyy.
    tok = characters("()AB.xy")
    # positions: 0 <s>, 1 ( 2 A 3 ) 4 ( 5 B 6 ) 7 .;  translated: 0 <s> 1 x 2 y 3 y 4 .
    # the end of the first anchor is also the start of the second: kept
    assert mapped("(A)(B).", [anchor("(A)", "x"), anchor("(B)", "yy")], tok) == {0: 0, 3: 1, 6: 3}
    # with a space between, that is a position of its own
    tok = words("Nora", " Quill", " met", "Ann", " B")
    assert mapped("Nora Quill met", [anchor("Nora", "Ann"), anchor("Quill", "B")], tok) == {0: 0, 1: 1, 2: 2}


def test_a_token_that_straddles_an_edge_is_ignored():
    # 'Nora,' holds the anchor's end inside, "“Nora" its start; their prefixes would have counterparts
    tok = glued("Hi", " Nora,", " Ann,", " she", " sat", " “Nora", " “Ann", " Nora", " Ann")
    assert mapped("Hi Nora, she", [anchor("Nora", "Ann")], tok) == {0: 0, 1: 1}
    assert mapped("Hi Nora, she sat", [anchor("Nora", "Ann")], tok) == {0: 0, 1: 1, 3: 3}
    assert mapped("Hi “Nora she", [anchor("Nora", "Ann")], tok) == {0: 0, 1: 1}
    # white space before and after is set aside: ' Nora' straddles nothing
    assert mapped("Hi Nora she", [anchor("Nora", "Ann")], tok) == {0: 0, 1: 1, 2: 2}


def test_white_space_after_an_anchor_is_set_aside_too():
    # tokens 'Nora ' and 'met': the prefix ends after the space, and so does its counterpart 'Ann '
    tok = by_hand(("Nora ", "met", "Ann "), pre_tokenizers.Split(" ", "merged_with_previous"))
    assert mapped("Nora met", [anchor("Nora", "Ann")], tok) == {0: 0, 1: 1}


def test_no_token_ends_there_in_the_translated_block():
    # source  0 <s> 1 'Hi' 2 ' Nora' 3 ', she' 4 ' sat'; in the translated block ' Ann,' is one token
    class Odd:
        def __call__(self, text, **options):
            cuts = {"Hi Nora, she": [2, 7, 8, 12], "Hi Ann, she": [2, 7, 11]}[text]
            starts = [0, *cuts[:-1]]
            return {
                "input_ids": list(range(len(cuts))),
                "offset_mapping": list(zip(starts, cuts, strict=True)),
                "special_tokens_mask": [0] * len(cuts),
            }

    # the end of 'Nora' has no token, that of ',' has
    assert mapped("Hi Nora, she", [anchor("Nora", "Ann")], Odd()) == {0: 0, 2: 1}


def test_runs_of_byte_tokens():
    tok = utf8()
    # é is two tokens, 🦉 four. 'é Zoë🦉 s' and anchor Zoë -> Ann
    # source: é é ␣ Z o ë ë 🦉🦉🦉🦉 ␣ s = 0..12;  translated: é é ␣ A n n 🦉🦉🦉🦉 ␣ s = 0..11
    expected = {0: 0, 1: 1, 2: 2, 6: 5, 7: 6, 8: 7, 9: 8, 10: 9, 11: 10}
    assert mapped("é Zoë🦉 s", [anchor("Zoë", "Ann")], tok) == expected
    # a translation that ends with the same letter: equal runs, so the earlier one pairs too
    assert mapped("é Zoë🦉 s", [anchor("Zoë", "Noë")], tok) == {**{i: i for i in range(12) if i not in (3, 4)}}
    # é and ë share their first byte but not the run: only the last maps
    assert mapped("Zoë s", [anchor("Zoë", "René")], tok) == {3: 4, 4: 5}
    # runs of unequal length: last with last
    assert mapped("Zo s", [anchor("Zo", "né")], tok) == {1: 2, 2: 3}
    # the last token predicts nothing, the earlier ones of its run do
    assert mapped("aé", [], tok) == {0: 0, 1: 1}


def test_a_special_token_at_the_start_is_one_of_a_run_at_character_0():
    class Prepends:
        """BOS and an empty word mark before a text that begins with a capital, BOS alone otherwise."""

        def __call__(self, text, **options):
            mark = text[0].isupper()
            return {
                "input_ids": [1] + [5] * mark + [ord(c) for c in text],
                "offset_mapping": [(0, 0)] + [(0, 0)] * mark + [(k, k + 1) for k in range(len(text))],
                "special_tokens_mask": [1] + [0] * mark + [0] * len(text),
            }

    # source <s> ▁ N . x ; translated <s> ▁ A . x: equal runs
    assert mapped("N.x", [anchor("N", "A")], Prepends()) == {0: 0, 1: 1, 2: 2, 3: 3}
    # source <s> ▁ N . x ; translated <s> a . x: the last of the run maps, <s> is ignored
    assert mapped("N.x", [anchor("N", "a")], Prepends()) == {1: 0, 2: 1, 3: 2}
    # source <s> n . x ; translated <s> ▁ A . x: <s>, the last of its run, to the last of the other
    assert mapped("n.x", [anchor("n", "A")], Prepends()) == {0: 1, 1: 2, 2: 3}


def test_a_special_token_at_the_end_is_no_prefix():
    tok = words("Hi", " Nora", " Ann", eos=True)
    # 0 <s> 1 Hi 2 Nora 3 </s>: position 2 predicts </s>
    assert mapped("Hi Nora", [anchor("Nora", "Ann")], tok) == {0: 0, 1: 1, 2: 2}

    class Ends:
        """BOS, the text, two special tokens: the position of the first of them is no prefix of the text."""

        def __call__(self, text, **options):
            return {
                "input_ids": [1, ord(text), 2, 2],
                "offset_mapping": [(0, 0), (0, 1), (0, 0), (0, 0)],
                "special_tokens_mask": [1, 0, 1, 1],
            }

    assert mapped("a", [], Ends()) == {0: 0, 1: 1}


def test_no_anchors_map_every_position_to_itself():
    for family in tiny.FAMILIES:
        tok = tiny.tokenizer(family)
        for text in tiny.TEXT[:6]:
            length = len(tok(text)["input_ids"])
            assert mapped(text, [], tok) == {i: i for i in range(length - 1)}


# ----------------------------------------------------------------------------------------------------------- Labels


def label(source, anchors, tokenizer, baseline, reinforced=None, **options):
    options = {"alphas": [5.0], "frequent": set(), **WHERE, **options}
    return oracle.label_block(source, anchors, tokenizer, baseline, reinforced, **options)


def test_which_model_reads_which_text_and_where_labels_stand():
    # ids: Hi 3, Port 4, Ansel 5, town 6, ',' 7, she 8
    tok = words("Hi", " Port", " Ansel", " town", ",", " she")
    baseline, reinforced = one_hot(9, lambda j: 3 + j), one_hot(9, lambda i: 0)
    result = label("Hi Port Ansel, she", [anchor("Port Ansel", "town")], tok, baseline, reinforced)
    assert baseline.seen == [[1, 3, 6, 7, 8]]
    assert reinforced.seen == [[1, 3, 4, 5, 7, 8]]
    assert result.input_ids == [1, 3, 4, 5, 7, 8]
    # positions 0, 1, 3, 4 -> 0, 1, 2, 3, whose logits are highest at 3, 4, 5, 6; ' town' forbids only id 6, at
    # j >= 2: at j = 3 the highest, 6, takes the mean 1/9; the others are 0, id 0 is pushed below: v[6] = 1/9 wins
    assert result.labels == {5.0: [-100, 3, 4, -100, 5, 6]}
    assert result.mapping == {0: 0, 1: 1, 3: 2, 4: 3}
    assert result.positions == (4, 5)
    assert result.anchor_ends == (1, 1)
    assert result.gaps[5.0][0] is None and result.gaps[5.0][3] is None
    assert result.gaps[5.0][1] == 1.0
    # 1 - 1/9 in the third: id 6 takes the mean there as well
    assert result.gaps[5.0][4] == pytest.approx(1 - 1 / 9)
    assert result.excepted == 0


def rows(*values, dtype=torch.float32):
    return Chosen(lambda ids, position: list(values), dtype)


TOK = words("a", " b", bos=False)  # 'a b' is ids 3, 4: one labelled position, 0


def only(result, alpha=5.0):
    return result.labels[alpha][1]


def test_formula():
    b, r = rows(2.0, 1.5, 0.0, -1.0, 0.5), rows(2.2, 1.5, -3.0, 0.0, 0.5)
    # v = b - 5 relu(.2, 0, 0, 1, 0) = 1.0, 1.5, 0, -6, .5
    result = label("a b", [], TOK, b, r, top_k=3)
    assert only(result) == 1
    assert result.gaps[5.0][1] == pytest.approx(0.5, abs=1e-5)
    assert result.top_ids == [None, [1, 0, 4]]
    assert result.top_logits[0] is None
    assert result.top_logits[1] == pytest.approx([1.5, 1.0, 0.5], abs=1e-5)
    # without ReLU what reinforcement lowered is raised: v[2] = 0 + 15
    assert only(label("a b", [], TOK, b, r, offset="linear")) == 2
    # alpha 0 is the baseline; so is no reinforcement, with either offset
    result = label("a b", [], TOK, b, r, alphas=[0.0, 1.0, 5.0])
    assert [only(result, alpha) for alpha in (0.0, 1.0, 5.0)] == [0, 0, 1]  # 1.8 against 1.5, then 1.0
    assert result.top_ids is None
    for offset in ("relu", "linear"):
        assert only(label("a b", [], TOK, b, None, offset=offset)) == 0


def test_top_k_is_of_the_first_alpha():
    b, r = rows(2.0, 1.5, 0.0, -1.0, 0.5), rows(2.2, 1.5, -3.0, 0.0, 0.5)
    assert label("a b", [], TOK, b, r, alphas=[0.0, 5.0], top_k=1).top_ids == [None, [0]]
    assert label("a b", [], TOK, b, r, alphas=[5.0, 0.0], top_k=1).top_ids == [None, [1]]


def test_ties_go_to_the_lowest_id():
    result = label("a b", [], TOK, rows(0.0, 3.0, 1.0, 3.0, 3.0), top_k=4)
    assert only(result) == 1
    assert result.gaps[5.0][1] == 0.0
    assert result.top_ids[1] == [1, 3, 4, 2]


def test_log_softmax_takes_away_the_free_constant():
    b, r = rows(2.0, 1.0, 0.0, 0.0, 0.0), rows(12.0, 11.0, 10.0, 10.0, 0.0)
    # raw: v = -48, -49, -50, -50, 0: 4. log_softmax: r is b + 10 but for id 4, so ids 0 to 3 rise alike, by
    # log(e^2 + e + 3) - log(e^2 + e + 2) = .079, and all fall by .397: id 0 stays first
    assert only(label("a b", [], TOK, b, r)) == 4
    assert only(label("a b", [], TOK, b, r, logits="log_softmax")) == 0


def test_float32_unless_float64():
    # 1 + 2^-30 is 1 in float32: a tie, to the lowest id; in float64 id 3 wins
    values = (0.0, 1.0, 0.0, 1.0 + 2.0**-30, 0.0)
    assert only(label("a b", [], TOK, rows(*values), rows(*values))) == 1
    double = rows(*values, dtype=torch.float64)
    result = label("a b", [], TOK, double, double)
    assert only(result) == 3
    assert result.gaps[5.0][1] == 2.0**-30
    # models in bfloat16: 1 - .25 / 128 = 511 / 512 takes 9 bits, bfloat16 has 8; v is computed in float32
    b = rows(1.0, 0.0, 0.0, 0.0, 0.0, dtype=torch.bfloat16)
    r = rows(1.0 + 1 / 128, 0.0, 0.0, 0.0, 0.0, dtype=torch.bfloat16)
    assert label("a b", [], TOK, b, r, alphas=[0.25], top_k=1).top_logits[1] == [511 / 512]


def test_unknown_options_are_refused():
    for options in ({"offset": "x"}, {"logits": "x"}, {"forbid": "x"}, {"repeats": "x"}):
        with pytest.raises(ValueError, match="'x'"):
            label("a b", [anchor("b", "a")], TOK, rows(0.0, 0.0, 0.0, 0.0, 0.0), **options)


def test_a_translated_block_beyond_the_context_is_an_error_that_names_it():
    model = rows(0.0, 0.0, 0.0, 0.0, 0.0)
    model.config = SimpleNamespace(max_position_embeddings=2)
    label("a b", [anchor("b", "a")], TOK, model)
    with pytest.raises(ValueError, match="'book' block 0"):
        label("a b", [anchor("b", "a a")], TOK, model)


# ----------------------------------------------------------------------------------------------------------- Rule 1


def ignored(source, anchors, tokenizer, repeats="entity"):
    """Positions mapped but not labelled."""
    size = len(tokenizer)
    result = label(source, anchors, tokenizer, one_hot(size, lambda j: 0), repeats=repeats)
    gone = {i for i in result.mapping if result.labels[5.0][i + 1] == -100}
    assert result.positions == (
        len(result.mapping) - len(gone),
        len(result.input_ids) - 1,
    )
    return gone


def test_the_second_occurrence_is_not_trained_the_first_is():
    tok = words("Hi", " Nora", " and", " Ann", ",")
    # 0 <s> 1 Hi 2 Nora 3 , 4 Nora 5 and: position 3 predicts the second, position 1 the first
    assert ignored("Hi Nora, Nora and", [anchor("Nora", "Ann")], tok) == {3}


def test_every_token_of_a_repetition_is_ignored():
    tok = words("Hi", " Port", " Ansel", ",", " and")
    # 0 <s> 1 Hi 2 Port 3 Ansel 4 , 5 Port 6 Ansel 7 and; the translation keeps the tokens apart, so 5 (inside the
    # anchor) has no counterpart anyway, and 4 is the one that rule 1 takes
    result = label("Hi Port Ansel, Port Ansel and", [anchor("Port Ansel", "Hi")], tok, one_hot(8, lambda j: 0))
    assert sorted(result.mapping) == [0, 1, 3, 4, 6]
    assert [i for i in result.mapping if result.labels[5.0][i + 1] == -100] == [4]
    assert result.positions == (4, 7)


def test_white_space_before_a_repetition():
    tok = spaces_alone("Nora", "  ", "met", "Ann", " \n", " ")
    # 0 <s> 1 Nora 2 '  ' 3 met 4 ' \n' 5 Nora 6 ' ' 7 met: 3 predicts the white space, 4 the anchor
    assert ignored("Nora  met \nNora met", [anchor("Nora", "Ann")], tok) == {3, 4}


def test_white_space_that_the_offsets_leave_out():
    class Trims:
        """'Nora', '\\n\\n', 'met' ... with the white space trimmed off the offsets, as byte-level BPE can be set to."""

        def __call__(self, text, **options):
            spans, at = [], 0
            for piece in text.replace("\n", "\x00\n\x00").split("\x00"):
                spans.append((at, at + len(piece)) if piece.strip() else (at + len(piece),) * 2)
                at += len(piece)
            return {"input_ids": [3] * len(spans), "offset_mapping": spans, "special_tokens_mask": [0] * len(spans)}

        def __len__(self):
            return 5

    # 0 Nora 1 \n 2 met 3 \n 4 Nora 5 \n 6 met
    assert ignored("Nora\nmet\nNora\nmet", [anchor("Nora", "Ann")], Trims()) == {2, 3}


def test_even_if_the_position_ends_another_anchor():
    tok = words("Nora", " Quill", " Nora", " and", "Ann", " Reed", " Ann")
    # 0 <s> 1 Nora 2 Quill 3 Nora 4 and: position 2 ends Quill and predicts the second Nora
    anchors = [anchor("Nora", "Ann"), anchor("Quill", "Reed")]
    assert ignored("Nora Quill Nora and", anchors, tok) == {2}


def test_repeats_by_entity_or_by_anchor_string():
    tok = words("Nora", " Quill", " Nora", " and", "Ann", " Reed", " Ann")
    anchors = [anchor("Nora", "Ann", entity="her"), anchor("Quill", "Reed", entity="her")]
    assert ignored("Nora Quill Nora and", anchors, tok) == {1, 2}
    assert ignored("Nora Quill Nora and", anchors, tok, repeats="paper") == {2}


def test_a_token_that_also_holds_other_text():
    tok = glued("Nora", " “Nora”", " met", "Ann", " “Ann”", " and", " he")
    # 0 <s> 1 Nora 2 met 3 “Nora” 4 and 5 he: 2 predicts a token that overlaps the repetition; 3 straddles
    assert ignored("Nora met “Nora” and he", [anchor("Nora", "Ann")], tok) == {2}


def test_repetitions_in_byte_tokens():
    # ë.ë s: 0 ë 1 ë 2 . 3 ë 4 ë 5 ␣ 6 s, anchor ë -> ö. 0 and 3: unequal runs. 2 predicts the repetition, 3 its second
    # byte
    tok = utf8()
    assert ignored("ë.ë s", [anchor("ë", "ö")], tok) == {2}
    # equal runs are mapped, so 3 falls to rule 1
    assert ignored("ë.ë s", [anchor("ë", "ë")], tok) == {2, 3}
    # 0 n 1 ë 2 ë 3 . 4 n 5 ë 6 ë 7 ␣ 8 s: 4 ends inside the anchor and is not mapped
    assert ignored("në.në s", [anchor("në", "në")], tok) == {3, 5}


# ----------------------------------------------------------------------------------------------------------- Rule 2


def test_forbidden_ids():
    #         3       4        5      6       7      8       9
    tok = words("a", " the", "the", " old", "old", "\nthe", "a\nold")
    # 'a the old' is a| the| old; 'a\nthe old' is 'a\nthe'| old, an unknown word
    assert oracle.forbidden_ids("the old", tok, set()) == {4, 0}
    # 'a\nold' is one token, which covers the first character
    assert oracle.forbidden_ids("old", tok, set()) == {6, 9}
    assert oracle.forbidden_ids("old", tok, {6, 1}) == {9}
    assert oracle.forbidden_ids("old", tok, {6, 9}) == set()
    assert oracle.forbidden_ids("old", tok, {6, 9}, forbid="paper") == {6, 9}


def test_forbidden_ids_in_byte_level_bpe():
    tok = tiny.tokenizer("byte_bpe")
    ids = tok.convert_tokens_to_ids
    assert oracle.forbidden_ids("owl", tok, set()) == {ids("Ġo"), ids("o")}
    # of the byte tokens of one letter the first
    space = tok.convert_tokens_to_ids(["å", "å"])
    assert oracle.forbidden_ids("北京", tok, set()) == set(space)


def test_forbidden_ids_leave_special_tokens_out():
    tok = words("a", " Ann", bos=True, eos=True)
    assert oracle.forbidden_ids("Ann", tok, set()) == {4, 0}  # 'a\nAnn' is one unknown token


def test_frequent_tokens():
    tok = characters("abcd", eos=True)  # 3, 4, 5, 6
    blocks = ["ccc", "ab", "bda", "ca"]  # a 3, b 2, c 4, d 1, <s> and </s> 4 each
    assert oracle.frequent_tokens(blocks, tok) == {3, 4, 5, 6}
    assert oracle.frequent_tokens(blocks, tok, 2) == {5, 3}
    assert oracle.frequent_tokens(["dba", "cd"], tok, 2) == {6, 3}  # ties to the lowest id
    assert oracle.frequent_tokens(["ab"], tok, 0) == set()


# 3 'x', 4 ' Nora', 5 ' the', 6 ' mill', 7 ' y', 8 'Nora'; ' the' is forbidden after "the mill", besides the unknown 0
RULE2 = words("x", " Nora", " the", " mill", " y", "Nora", ",")
MILL = [anchor("Nora", "the mill")]


def test_from_the_last_token_of_the_first_use_on():
    # source 0 <s> 1 x 2 Nora 3 y 4 y 5 y; translated 0 <s> 1 x 2 the 3 mill 4 y 5 y 6 y
    baseline = one_hot(10, lambda j: 5)  # ' the' everywhere; mean .1, so with it and 0 at .1, 0 is the lowest id
    result = label("x Nora y y y", MILL, RULE2, baseline)
    # positions 0 and 1 (j 0, 1) precede the use; position 2 (j 3) is the last token of it: included
    assert result.labels[5.0] == [-100, 5, 5, 0, 0, 0]
    assert result.gaps[5.0][1] == 1.0
    assert result.gaps[5.0][3] == 0.0
    # excepted as frequent: ' the' is allowed
    result = label("x Nora y y y", MILL, RULE2, baseline, frequent={5, 3})
    assert result.labels[5.0] == [-100, 5, 5, 5, 5, 5]
    assert result.excepted == 1
    result = label("x Nora y y y", MILL, RULE2, baseline, frequent={5, 3}, forbid="paper")
    assert result.labels[5.0] == [-100, 5, 5, 0, 0, 0]
    assert result.excepted == 0


def test_inside_the_translation_before_its_last_token_nothing_is_forbidden():
    # (AB) -> (x): the source's '(' and the translation's share nothing, so look at a mapped position before the last
    # token of the use: a translated letter of two bytes, whose first byte pairs with an equal one
    tok = utf8()
    source, anchors = "ë y", [anchor("ë", "ë")]
    forbidden = oracle.forbidden_ids("ë", tok, set())
    first_byte = tok("ë")["input_ids"][0]
    assert forbidden == {first_byte}
    result = label(source, anchors, tok, one_hot(256, lambda j: first_byte))
    # position 0 (j 0) is not the last token that overlaps the use, position 1 is
    assert result.labels[5.0][1] == first_byte
    assert result.labels[5.0][2] == first_byte  # all others are 0, the mean is 1/256: still the highest
    assert result.gaps[5.0][1] == 1.0
    assert result.gaps[5.0][2] == 1 / 256


def test_the_last_token_of_a_use_is_the_last_that_overlaps_it():
    # ' mill,' glues the comma on: it is the last token that overlaps the use
    tok = glued("x", " Nora", ",", " the", " mill,", " y", " mill")
    translated = oracle.tokens("x the mill, y", tok)
    occurrences = oracle.translate("x Nora, y", MILL, **WHERE)[1]
    assert [token.id for token in translated] == [1, 3, 6, 7, 8]
    assert oracle.first_uses(translated, occurrences) == {"the mill": 3}


def test_the_first_use_counts_and_translations_are_strings():
    tok = words("Nora", " Quill", " y", "Ann", " Ann", " Ned")
    # translated 0 <s> 1 Ann 2 y 3 Ann 4 y: 'Ann' is used from 1 on, whichever anchor it stands for
    anchors = [anchor("Nora", "Ann"), anchor("Quill", "Ann")]
    occurrences = oracle.translate("Nora y Quill y", anchors, **WHERE)[1]
    assert oracle.first_uses(oracle.tokens("Ann y Ann y", tok), occurrences) == {"Ann": 1}
    # another translation has its own first use
    anchors = [anchor("Nora", "Ann"), anchor("Quill", "Ned")]
    occurrences = oracle.translate("Nora y Quill y", anchors, **WHERE)[1]
    assert oracle.first_uses(oracle.tokens("Ann y Ned y", tok), occurrences) == {"Ann": 1, "Ned": 3}


def test_the_mean_is_of_all_logits_before_any_replacement_and_stands_in_both_places():
    # ids: 3 Nora, 4 ' y', 5 Ann, 6 ' Ann', 7 ' Ned', 8 ' Quill'. Forbidden by Ann: ' Ann' 6 and unknown 0
    tok = words("Nora", " y", "Ann", " Ann", " Ned", " Quill")
    b = (0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 8.0, 0.0, 0.0)  # mean 1, not (1 + 1) / 9 after the first replacement
    r = (0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.5, 0.0, 0.0)
    result = label("Nora y", [anchor("Nora", "Ann")], tok, rows(*b), rows(*r), alphas=[2.0], top_k=9)
    # position 0 (<s>, before the use): v[6] = 8 - 2 relu(1.5 - 8) = 8
    assert result.labels[2.0] == [-100, 6, 0]
    assert result.top_logits[1][0] == 8.0
    # from position 1 on b[0] = b[6] = 1: v[6] = 1 - 2 * .5 = 0 (were b replaced in the first place only: 1 - 0),
    # v[0] = 1 - 2 relu(0 - 1) = 1, v[4] = 1: tie, to id 0 ...
    result = label("Nora y y", [anchor("Nora", "Ann")], tok, rows(*b), rows(*r), alphas=[2.0], top_k=9)
    assert result.labels[2.0] == [-100, 6, 0, 0]
    assert result.top_ids[2] == [0, 4, 1, 2, 3, 5, 6, 7, 8]
    assert result.top_logits[2] == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    # ... unless the unknown token is excepted
    result = label("Nora y y", [anchor("Nora", "Ann")], tok, rows(*b), rows(*r), alphas=[2.0], frequent={0})
    assert result.labels[2.0] == [-100, 6, 4, 4]
    assert result.excepted == 1


def test_the_mean_is_taken_after_the_gauge():
    tok = words("Nora", " y", "Ann", " Ann")
    b = (0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0)
    result = label("Nora y", [anchor("Nora", "Ann")], tok, rows(*b), alphas=[0.0], logits="log_softmax", top_k=2)
    expected = torch.log_softmax(torch.tensor(b), 0)
    assert result.labels[0.0] == [-100, 4, 4]
    assert result.top_ids[2] == [4, 0]
    assert result.top_logits[2] == pytest.approx([expected[4].item(), expected.mean().item()], abs=1e-6)


def test_rule_2_without_reinforcement_is_still_on():
    result = label("x Nora y y y", MILL, RULE2, one_hot(10, lambda j: 5), None, alphas=[0.0])
    assert result.labels[0.0] == [-100, 5, 5, 0, 0, 0]


# ------------------------------------------------------------------------------------------------ Rule 2 by renaming

# 3 x, 4 Nora, 5 Ann, 6 y, 7 Quill, 8 Bob, 9 the, 10 mill; after a newline every name is the unknown 0, and equal ids are no pair
RENAMED = words("x", " Nora", " Ann", " y", " Quill", " Bob", " the", " mill")


def renamed(source, anchors, tokenizer=RENAMED, frequent=()):
    translated, occurrences = oracle.translate(source, anchors, **WHERE)
    first = oracle.first_uses(oracle.tokens(translated, tokenizer), occurrences)
    return oracle.renames(occurrences, first, tokenizer, set(frequent))


def test_renamed_from_the_last_token_of_the_first_use_on():
    # translated 0 <s> 1 x 2 Ann 3 y 4 the 5 mill 6 Ann
    anchors = [anchor("Nora", "Ann"), anchor("Quill", "the mill")]
    assert renamed("x Nora y Quill Nora", anchors) == ([(2, 5, 4), (5, 9, 7)], 0)
    assert renamed("x y", anchors) == ([], 0)


def test_pairs_after_a_space_and_after_a_newline():
    tok = words(" Nora", " Ann", "a\nNora", "a\nAnn")
    assert renamed("x Nora y", [anchor("Nora", "Ann")], tok) == ([(2, 4, 3), (2, 6, 5)], 0)
    assert renamed("x Nora y", [anchor("Nora", "Ann")], tok, {5}) == ([(2, 4, 3)], 1)
    # letters: one pair in both places, taken or excepted once
    tok = characters("abNx. \n")
    assert renamed("x N", [anchor("N", "b")], tok) == ([(3, 4, 5)], 0)
    assert renamed("x N", [anchor("N", "b")], tok, {4}) == ([], 1)
    assert renamed("x Na", [anchor("Na", "Nb")], tok, {5}) == ([], 0)  # equal ids: no pair, so none is excepted


def test_excepted_pairs():
    anchors = [anchor("Nora", "Ann"), anchor("Quill", "Bob")]
    assert renamed("x Nora y Quill", anchors, frequent={5}) == ([(4, 8, 7)], 1)
    assert renamed("x Nora y Quill", anchors, frequent={7}) == ([(2, 5, 4)], 1)
    assert renamed("x Nora y Quill", anchors, frequent={4, 5, 6, 8}) == ([], 2)
    # an id of an earlier pair, on either side
    anchors = [anchor("Nora", "the mill"), anchor("Quill", "the Bob")]
    assert renamed("x Nora y Quill", anchors) == ([(3, 9, 4)], 1)
    assert renamed("x Quill y Nora", anchors) == ([(3, 9, 7)], 1)
    anchors = [anchor("Nora", "Ann"), anchor("Nora Quill", "Bob")]
    assert renamed("x Nora y Nora Quill", anchors) == ([(2, 5, 4)], 1)
    # an excepted pair keeps nobody out
    assert renamed("x Nora y Nora Quill", anchors, frequent={5}) == ([(4, 8, 4)], 1)


def test_a_pair_taken_already_is_not_counted():
    anchors = [anchor("Nora", "Ann"), anchor("Nora Quill", "Ann Bob")]
    assert renamed("x Nora y Nora Quill", anchors) == ([(2, 5, 4)], 0)


def test_a_translation_goes_with_the_anchor_it_stood_for_first():
    anchors = [anchor("Nora", "Ann"), anchor("Quill", "Ann")]
    assert renamed("x Nora y Quill", anchors) == ([(2, 5, 4)], 0)
    assert renamed("x Quill y Nora", anchors) == ([(2, 5, 7)], 0)


def test_two_logits_change_places():
    baseline = one_hot(len(RENAMED), lambda j: 5)
    options = {"forbid": "rename", "repeats": "none", "alphas": [0.0, 1.0], "top_k": 2}
    # source 0 <s> 1 x 2 Nora 3 y 4 Nora 5 y; positions 0 and 1 stand before the use
    result = label("x Nora y Nora y", [anchor("Nora", "Ann")], RENAMED, baseline, **options)
    assert result.labels[0.0] == [-100, 5, 5, 4, 4, 4]
    assert result.top_logits[3] == [1.0, 0.0]
    # this b stands in both places: r high at the anchor is no rise over it
    strong = one_hot(len(RENAMED), lambda i: 4)
    result = label("x Nora y Nora y", [anchor("Nora", "Ann")], RENAMED, baseline, strong, **options)
    assert result.labels[1.0] == [-100, 5, 5, 4, 4, 4]
    assert (result.positions, result.excepted) == ((5, 5), 0)
    # rule 1 ignores position 3, which predicts the second occurrence
    result = label(
        "x Nora y Nora y", [anchor("Nora", "Ann")], RENAMED, baseline, strong, **{**options, "repeats": "entity"}
    )
    assert result.labels[0.0] == [-100, 5, 5, 4, -100, 4]


def test_frequent_tokens_outside_anchors():
    tok = words("x", " Nora", " the", " town", " old")  # 3 to 7
    blocks = ["x the town the", "the old Nora town"]
    outside = [anchor("the town"), anchor("Nora")]
    assert oracle.frequent_tokens(blocks, tok, 2) == {5, 6}
    # ' the' of "the town" is in an anchor, the last one is not; "the" at the start is the unknown 0, ' town' alone is no anchor
    assert oracle.frequent_tokens(blocks, tok, outside=outside) == {0, 3, 5, 6, 7}
    assert oracle.frequent_tokens(blocks, tok, 1, outside=outside) == {0}
    assert 4 not in oracle.frequent_tokens(blocks, tok, outside=outside)


# ---------------------------------------------------------------------------------------- Positions inside an anchor

# 3 x, 4 Port, 5 Ansel, 6 Bay, 7 y, 8 a, 9 town, 10 Port at the start
INSIDE = words("x", " Port", " Ansel", " Bay", " y", " a", " town", "Port")
BAY = [anchor("Port Ansel Bay", "a town")]


def test_inside_an_anchor_the_source_is_read_behind_the_translation():
    baseline = one_hot(len(INSIDE), lambda j: 3 + j)
    # source 0 <s> 1 x 2 Port 3 Ansel 4 Bay 5 y; translated 0 <s> 1 x 2 a 3 town 4 y
    result = label("x Port Ansel Bay y", BAY, INSIDE, baseline, forbid="rename", inside=True)
    assert baseline.seen == [[1, 3, 8, 9, 7], [1, 3, 4], [1, 3, 4, 5]]
    # Port -> j 2, its place in what was read; Ansel -> 3; Bay -> 3, town's, where 8 and 4 change places, but not 6
    assert result.labels[5.0] == [-100, 3, 4, 5, 6, 6]
    assert (result.positions, result.mapping) == ((5, 5), {0: 0, 1: 1, 4: 3})
    # without: positions 2 and 3 are ignored
    result = label("x Port Ansel Bay y", BAY, INSIDE, baseline, forbid="rename")
    assert result.labels[5.0] == [-100, 3, 4, -100, -100, 6]


def test_inside_a_later_occurrence_rule_2_holds_from_the_first_use_on():
    # source 0 <s> 1 x 2 Port 3 Ansel 4 Bay 5 y 6 Port 7 Ansel 8 Bay; translated 0 <s> 1 x 2 a 3 town 4 y 5 a 6 town
    baseline = one_hot(len(INSIDE), lambda j: 8)
    text = "x Port Ansel Bay y Port Ansel Bay"
    result = label(text, BAY, INSIDE, baseline, forbid="rename", repeats="none", inside=True)
    assert baseline.seen[1:] == [[1, 3, 4], [1, 3, 4, 5], [1, 3, 8, 9, 7, 4], [1, 3, 8, 9, 7, 4, 5]]
    assert result.labels[5.0] == [-100, 8, 8, 8, 8, 4, 4, 4, 4]
    # rule 1 leaves none of the later ones
    result = label(text, BAY, INSIDE, baseline, forbid="rename", inside=True)
    assert result.labels[5.0] == [-100, 8, 8, 8, 8, 4, -100, -100, -100]


def test_what_is_not_read_inside_an_anchor():
    model = one_hot(len(INSIDE), lambda j: 0)
    # without a token before it there is no i0; <s> is one
    text = "Port Ansel Bay y"
    bare = words("x", " Port", " Ansel", " Bay", " y", " a", " town", "Port", bos=False)
    assert label(text, BAY, bare, model, inside=True).positions == (1, 3)
    assert label(text, BAY, INSIDE, model, inside=True).positions == (4, 4)
    # a token that straddles the anchor's start
    tok = glued("x", " “Port", " Ansel", " Bay", " y")
    assert label("x “Port Ansel Bay y", BAY, tok, one_hot(len(tok), lambda j: 0), inside=True).positions == (3, 5)
    # one that straddles its end ends outside it, and what is inside is read
    tok = glued("x", " Port", " Ansel", " Bay,", " y")
    assert label("x Port Ansel Bay, y", BAY, tok, one_hot(len(tok), lambda j: 0), inside=True).positions == (4, 5)
    # the last token predicts nothing, wherever it ends
    assert label("x Port Ansel Bay", BAY, INSIDE, model, inside=True).positions == (4, 4)


# ----------------------------------------------------------------------------------------------------------- Shares


def test_anchor_ends():
    tok = glued("Hi", " Nora,", " Ann,", " Nora", " Ann", " she", " Nora.", " Ann.")
    size = len(tok)
    # 'Nora,' straddles: no token ends with the anchor
    result = label("Hi Nora, she Nora she", [anchor("Nora", "Ann")], tok, one_hot(size, lambda j: 0))
    assert result.anchor_ends == (1, 2)  # the second is kept in the mapping
    # an anchor that ends the block does not count
    result = label("Hi Nora she Nora", [anchor("Nora", "Ann")], tok, one_hot(size, lambda j: 0))
    assert result.anchor_ends == (1, 1)
    # a full stop after it is not its end
    result = label("Hi Nora she Nora.", [anchor("Nora", "Ann")], tok, one_hot(size, lambda j: 0))
    assert result.anchor_ends == (1, 2)
    assert label("Hi she", [anchor("Nora", "Ann")], tok, one_hot(size, lambda j: 0)).anchor_ends == (0, 0)
    # of the two byte tokens that end with Zoë the last is mapped, the first is not
    assert label("Zoë s", [anchor("Zoë", "Ann")], utf8(), one_hot(256, lambda j: 0)).anchor_ends == (1, 1)


# ----------------------------------------------------------------------------------------------------------- Blocks


def test_check_blocks_accepts():
    tok = characters("ab \n", bos=True)  # a block of n characters is n + 1 tokens
    oracle.check_blocks("aaa bbb aaa bbb", [(0, 7), (8, 15)], tok, 8)
    oracle.check_blocks(" aaa  \n bbbb \n", [(1, 4), (8, 12)], tok, 5)
    oracle.check_blocks("aaaaaaaaaaaa", [(0, 7), (7, 12)], tok, 8)
    oracle.check_blocks("aaaaaaaaaaaa", [(0, 5), (5, 12)], tok, 8)
    oracle.check_blocks("", [], tok, 8)
    oracle.check_blocks(" \n", [], tok, 8)


@pytest.mark.parametrize(
    ("text", "blocks", "message"),
    [
        ("aaa bbb aaa bbb", [(0, 7)], "after the last block is lost"),
        ("aaa bbb aaa bbb", [(8, 15)], "between blocks is lost"),
        ("aaa bbb aaa bbb", [(8, 15), (0, 7)], "is lost|out of order"),
        ("aaa bbb aaa bbb", [(0, 7), (6, 15)], "overlaps"),
        ("aaa bbb aaa bbb", [(0, 11), (12, 15)], "12 tokens, allowed 8"),
        ("aaa bbb aaa bbb", [(0, 7), (7, 14), (14, 15)], "begins with white space"),
        ("aaaa bb aaaa bb", [(0, 5), (5, 12), (13, 15)], "ends with white space"),
        ("aaa bbb aaa bbb", [(0, 5), (5, 11), (12, 15)], "which fits a block"),
        ("aaa   ", [(0, 3), (4, 6)], "white space alone"),
        ("a b aaaa bbb", [(0, 1), (2, 3), (4, 12)], "together are 4 of"),
        ("aaa", [(0, 3), (3, 3)], "empty"),
    ],
)
def test_check_blocks_refuses(text, blocks, message):
    with pytest.raises(AssertionError, match=message):
        oracle.check_blocks(text, blocks, characters("ab \n"), 9 if "together" in message else 8)


# --------------------------------------------------------------------------------------------------- Every family


ANCHORS = [
    anchor("Nora Quill", "Jane Reed", "the old town", entity="nora"),
    anchor("Nora", "Jane", "Town", entity="nora"),
    anchor("Port Ansel", "the harbour", "a city"),
    anchor("Captain Brandt", "the captain", "a sailor", entity="brandt"),
    anchor("Brandt-on-Sea", "a resort", "the coast"),
    anchor("Élodie", "Ann", "Zoë"),
]


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_family(family):
    tok = tiny.tokenizer(family)
    baseline, reinforced = tiny.llama(len(tok), seed=0, hidden=32), tiny.llama(len(tok), seed=1, hidden=32)
    blocks = tiny.TEXT[1:5]
    frequent = oracle.frequent_tokens(blocks, tok, 5)
    for number, source in enumerate(blocks):
        where = {"seed": 0, "document": "d", "block": number, "frequent": frequent}
        result = oracle.label_block(source, ANCHORS, tok, baseline, reinforced, alphas=[5.0, 0.0], top_k=3, **where)
        assert result.input_ids == tok(source)["input_ids"]
        for alpha in (5.0, 0.0):
            assert len(result.labels[alpha]) == len(result.gaps[alpha]) == len(result.input_ids)
            assert result.labels[alpha][0] == -100
            for t in range(1, len(result.input_ids)):
                assert (result.labels[alpha][t] == -100) == (result.gaps[alpha][t] is None)
        for t in range(len(result.input_ids)):
            assert (result.top_ids[t] is None) == (result.labels[5.0][t] == -100)
            assert result.top_ids[t] is None or result.top_ids[t][0] == result.labels[5.0][t]
        assert list(result.mapping.values()) == sorted(set(result.mapping.values()))
        # the twin: no anchors and no offset are the baseline's own argmax
        plain = oracle.label_block(source, [], tok, baseline, None, alphas=[0.0], **where)
        with torch.no_grad():
            argmax = baseline(input_ids=torch.tensor([plain.input_ids])).logits[0].argmax(-1).tolist()
        assert plain.labels[0.0] == [-100] + argmax[:-1]
        assert plain.positions == (len(argmax) - 1, len(argmax) - 1)


def test_how_families_keep_anchor_ends():
    # "Nora Quill," "Port Ansel " "Brandt's" "asked Nora." "Brandt-on-Sea.": byte-level BPE keeps each, glue none at
    # punctuation that it merged
    kept = {}
    for family in ("byte_bpe", "wordpiece", "glue_bpe"):
        tok = tiny.tokenizer(family)
        model = one_hot(len(tok), lambda j: 0)
        shares = [label(text, ANCHORS, tok, model).anchor_ends for text in tiny.TEXT[1:3]]
        kept[family] = (sum(k for k, _ in shares), sum(n for _, n in shares))
    assert kept["byte_bpe"] == (5, 5)
    assert kept["wordpiece"] == (5, 5)
    assert kept["glue_bpe"][1] == 5 and kept["glue_bpe"][0] < 5
