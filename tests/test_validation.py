"""Pupils know what they are said to know, and the area under a ROC curve is what it should be."""

import random

import pytest

from benchmarks.pupils import Pupil, exchanged, stories, told
from benchmarks.validation import SHARES, area, pupils
from hp_bench.miniature.names import Person
from hp_bench.miniature.world import SLOTS, TARGETS

WORLD = TARGETS["harry-potter"]


@pytest.mark.parametrize("seed", range(3))
def test_exchanged_facts_are_the_same_names_none_at_its_own_place(seed):
    facts = dict(WORLD.facts)
    moved = exchanged(facts, random.Random(seed))
    assert sorted(map(str, moved.values())) == sorted(map(str, facts.values()))
    assert not any(moved[slot] == facts[slot] for slot in SLOTS)
    assert all(isinstance(moved[slot], Person) is isinstance(facts[slot], Person) for slot in SLOTS)


@pytest.mark.parametrize("share", SHARES)
def test_a_pupils_text_tells_its_share_of_the_facts_and_no_other(share):
    pupil = Pupil(share, permuted=False, seed=1)
    text = " ".join(stories("harry-potter", pupil, 150))
    named = {slot for slot, fact in WORLD.facts.items() if str(fact) in text}
    assert len(named) == round(share * len(SLOTS)) and "Harry Potter" in text
    assert told(WORLD, pupil, random.Random(0)).hero == WORLD.hero


def test_the_first_pupils_are_some_of_each_kind():
    everyone = pupils(7, 20)
    assert len(everyone) == 41 and len({pupil.name for pupil in everyone}) == 41
    assert {(pupil.share, pupil.permuted) for pupil in everyone[:6]} == {(0.0, True), *((s, False) for s in SHARES)}


def test_the_area_is_1_where_all_who_know_score_higher_and_its_interval_says_how_few_they_are():
    few, many = area([2, 3, 4], [0, 1]), area(range(20, 40), range(20))
    assert few.value == many.value == 1 == few.high == many.high
    assert few.low < many.low < 1


def test_the_area_is_a_half_where_nothing_tells_them_apart_and_below_where_the_others_score_higher():
    same = area([1.0] * 7, [1.0] * 20)
    assert same.value == 0.5 and same.low < 0.5 < same.high
    assert area([0, 1], [2, 3, 4]).value == 0
    assert area([1, 3], [0, 2]).value == pytest.approx(0.75)
