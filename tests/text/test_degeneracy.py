"""Broken text is flagged, and nothing else is: an answer may be short, foreign, or a list of names."""

import random

import pytest

from hp_bench.text.degeneracy import degeneracy


@pytest.mark.parametrize(
    "text, why",
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("...", "no words"),
        ("!? !? !? !?", "no words"),
        ("_ _ _ _ _ _", "no words"),
        ("😀😀😀", "no words"),
        ("\ufffd\ufffd\ufffd", "undecodable bytes"),
        ("a\ufffdb \ufffd\ufffd c \ufffd\ufffd d", "undecodable bytes"),
        ("\x00\x01\x02abc\x03", "undecodable bytes"),
        ("ha " * 20, "loop"),
        ("no no no no no no", "loop"),
        ("He went home. " * 6, "loop"),
        ("the cat sat on the mat " * 10, "loop"),
        ("1. 1. 1. 1. 1. 1. 1. 1.", "loop"),
        ("哈" * 30, "loop"),
        ("Hogwarts, Hogwarts, Hogwarts, Hogwarts, Hogwarts, Hogwarts", "loop"),
        ("Once the boy had come home he sat and sat and sat and sat and sat and sat and sat and sat", "loop"),
        ("a" * 60, "not words"),
        ("thewizardwenttotheschoolwithhisfriendsandtheyateallthebreadintheworld", "not words"),
        ("xqz vrrp bnnk tlop wqrst plimf drxx zzkw", "not words"),
        ("th3 c4t s4t 0n th3 m4t 4nd sl3pt", "not words"),
        ("the vrrp of bnnk and tlopw wqrst plimf drxx to zzkw", "not words"),
    ],
)
def test_broken_text_is_flagged_with_the_reason(text, why):
    assert degeneracy(text) == why


def random_letters(rng: random.Random) -> str:
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, 8)))


def random_syllables(rng: random.Random) -> str:
    syllables = ("ba", "ke", "lo", "mi", "nu", "tar", "sen", "vor", "pli", "gru", "ex", "on")
    return "".join(rng.choice(syllables) for _ in range(rng.randint(2, 4)))


@pytest.mark.parametrize("word", [random_letters, random_syllables])
def test_random_words_are_noise_every_time(word):
    rng = random.Random(0)
    texts = [" ".join(word(rng) for _ in range(40)) for _ in range(20)]
    assert [text for text in texts if degeneracy(text) != "not words"] == []


@pytest.mark.parametrize(
    "text",
    [
        " Yes.",
        " 42",
        " Hermione",
        " Zorblax",  # one invented name is an answer
        " 1997, 1998, 1999, 2000, 2003, 2005 and 2007.",
        " 1 2 3 4 5 6 7 8 9 10 11 12",
        " A B C D E F G",
        " 1. Anna\n2. Robert\n3. Mary\n4. John",
        " Albus Percival Wulfric Brian Dumbledore",
        " James, Lily, Remus, Peter, Sirius and Dorcas came too.",
        " Harry’s friend couldn't believe it wasn’t hers.",
        " I don't know. I don't know what it is.",
        " The cellist’s saxophone, the stonemason's trombonist's and the haberdasher's wheelwright's.",
        " no, no, no, he said, and went away to the sea with all his brothers",
        " Row, row, row your boat, gently down the stream. Merrily, merrily, merrily, merrily, life is but a dream.",
        " def f(x):\n    return x + 1\n\nprint(f(3))",
        " The address is http://example.com/abc?x=1&y=2, and it is free.",
        " Platform 9¾ is between nine and ten.",
        " The caf\ufffd was open.",
        " They walked to the river\ufffd",  # a character cut off by the token limit
        " 😀 yes, gladly 😀",
    ],
)
def test_sound_text_is_not_flagged_however_short_or_odd(text):
    assert degeneracy(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "Le garçon est allé à l'école avec ses amis et ils ont mangé du pain.",
        "Der Junge ging mit seinen Freunden in die Schule und sie aßen Brot.",
        "El niño fue a la escuela con sus amigos y comieron pan.",
        "Chłopiec poszedł do szkoły z przyjaciółmi i jedli chleb.",
        "Хлопець пішов до школи зі своїми друзями, і вони їли хліб.",
        "Мальчик пошёл в школу вместе со своими друзьями, и они ели хлеб.",
        "Το αγόρι πήγε στο σχολείο με τους φίλους του και έφαγαν ψωμί.",
        "ذهب الولد إلى المدرسة مع أصدقائه وأكلوا الخبز",
        "הילד הלך לבית הספר עם חבריו והם אכלו לחם",
        "लड़का अपने दोस्तों के साथ स्कूल गया और उन्होंने रोटी खाई",
        "那个男孩和朋友们一起去上学，他们吃了面包。",
        "少年は友達と学校に行き、パンを食べました。",
        "소년은 친구들과 학교에 가서 빵을 먹었습니다.",
        "เด็กชายไปโรงเรียนกับเพื่อนๆ",
    ],
)
def test_an_answer_in_another_language_is_not_noise(text):
    assert degeneracy(text) == ""


def test_a_loop_needs_one_phrase_to_cover_more_than_half():
    other = "she then walked slowly through seven empty rooms until somebody opened another door"
    phrase = "of the old house "
    assert degeneracy(phrase * 5 + other) == "loop"
    assert degeneracy(phrase * 3 + other) == ""
    assert degeneracy(phrase * 2) == ""


def test_known_words_are_no_noise():
    text = "Riddikula Scourgia Obliviax Expellia Alohomix"
    assert degeneracy(text) == "not words"
    assert degeneracy(text, known=text.lower().split()) == ""
