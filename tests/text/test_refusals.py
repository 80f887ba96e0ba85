"""What is a refusal, and what merely reads like one."""

import pytest

from hp_bench.text.refusals import refuses


@pytest.mark.parametrize(
    "completion",
    [
        "I'm sorry, but I can't help with that.",
        " I\u2019m sorry, but I cannot provide details about Harry Potter.",
        "As an AI language model, I do not",
        "I'm sorry for the confusion, but as an AI I have no access to",
        "I cannot continue this text.",
        "**Sorry**, I can't assist with that request.",
        "Unfortunately, I don't have any information about that.",
        "\"I apologize, but I won't be able to answer",
        "I am unable to reproduce the text of the book",
    ],
)
def test_refusals(completion):
    assert refuses(completion)


@pytest.mark.parametrize(
    "completion",
    [
        "",
        "the Sorting Hat.",
        "I can't believe it, said Nora.",
        "I can't wait to share my lantern",
        "I can't help laughing",
        "sorry for the delay of the train",
        "I'm sorry for your loss. The keeper wrote",
        "As an aide to the minister, she knew",
        "As an air of mystery settled",
        "unfortunately, the lantern broke",
        "I don't know.",
        "Captain Brandt. \"I'm sorry, but I can't help with that,\" he said.",
    ],
)
def test_what_people_of_a_story_say_is_none(completion):
    assert not refuses(completion)
