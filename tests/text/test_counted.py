"""One and many."""

import pytest

from hp_bench.text.counted import counted


@pytest.mark.parametrize(
    "count, said", [(0, "0 lines that are blank"), (1, "1 line that is blank"), (2, "2 lines that are blank")]
)
def test_the_words_suit_the_number(count, said):
    assert counted("{} line[|s] that [is|are] blank", count) == said
