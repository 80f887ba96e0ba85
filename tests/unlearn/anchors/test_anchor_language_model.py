"""Anchors by a language model, against a scripted server on the loopback."""

import contextlib
import json
import sys
import threading
import time
from functools import partial
from types import SimpleNamespace

import pytest
from scripted_server import ScriptedServer, serving

from unlearn import chat as endpoint_module
from unlearn.anchors.dictionary import AnchorDictionary, DraftAnchor
from unlearn.anchors.language_model import (
    Merged,
    UnansweredError,
    draw_passages,
    language_model_anchors,
    merge,
    one_person,
    read_reply,
)
from unlearn.chat import Endpoint, Reply, ReplyCache
from unlearn.corpus.corpus import Document

TEXTS = [
    f"Nora Quill met Captain Brandt{n} in Port Ansel. Nora’s lamp was lit, and passage {n} ended." for n in range(12)
]
CORPUS = [Document(str(n), text) for n, text in enumerate(TEXTS)]
ENTRIES = [
    {"anchor": "Nora", "type": "person", "translations": ["Ann", "Eve"]},
    {"anchor": "Quill", "type": "person", "translations": ["Baker"]},
    {"anchor": "Port Ansel", "type": "place", "translations": ["Newbury", "Weston"]},
]
GOOD = json.dumps(ENTRIES)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def serve():
    with contextlib.ExitStack() as stack:
        yield lambda script: stack.enter_context(serving(script))


def point(server, **knobs):
    return Endpoint(server.url, "m", **{"backoff": 0.01, "timeout": 5.0, "retries": 3, **knobs})


def number(message):
    return int(message.split("passage ")[-1].split()[0])


def interview(server, tmp_path, corpus=CORPUS, *, knobs=None, **options):
    return language_model_anchors(corpus, point(server, **(knobs or {})), cache=tmp_path / "replies.jsonl", **options)


def anchors(made):
    return {anchor.anchor: anchor for anchor in made.draft.anchors}


# Asking


def test_every_passage_is_asked_once_and_the_replies_become_anchors(serve, tmp_path):
    server = serve(lambda message, attempt: GOOD)
    made = interview(server, tmp_path)
    assert sorted(map(number, server.asked)) == list(range(12))
    assert (made.passages, made.cached, made.retried, made.unanswered, made.unreadable) == (12, 0, 0, 0, 0)
    found = anchors(made)
    assert set(found) == {"Nora", "Quill", "Port Ansel"}
    assert found["Nora"].translations == ("Ann", "Eve")
    assert (found["Nora"].type, found["Port Ansel"].type) == ("person", "place")
    assert (found["Nora"].count, found["Nora"].score) == (24, 12.0)  # "Nora Quill", "Nora’s"
    assert len(found["Nora"].contexts) == 3


def test_the_request_is_a_chat_with_our_prompt_and_the_passage(serve, tmp_path):
    server = serve(lambda message, attempt: GOOD)
    interview(server, tmp_path, CORPUS[:1])
    (body,) = server.bodies
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("m", 0.0, 2048)
    assert TEXTS[0] in body["messages"][0]["content"]
    assert "Answer with JSON" in body["messages"][0]["content"]
    assert "$passage" not in body["messages"][0]["content"]


def test_the_key_comes_from_the_environment_and_goes_nowhere_else(serve, tmp_path, monkeypatch):
    server = serve(lambda message, attempt: GOOD)
    interview(server, tmp_path / "a", CORPUS[:1])
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    interview(server, tmp_path / "b", CORPUS[:1])
    assert [headers["authorization"] for headers in server.headers_seen] == [
        "Bearer none",
        "Bearer sk-from-the-environment",
    ]
    assert "sk-from" not in (tmp_path / "b" / "replies.jsonl").read_text()


def test_as_many_at_once_as_allowed_and_no_more(serve, tmp_path):
    def slow(message, attempt):
        time.sleep(0.05)
        return GOOD

    server = serve(slow)
    interview(server, tmp_path, knobs={"concurrency": 3})
    assert server.most == 3


def test_equal_passages_are_asked_once(serve, tmp_path):
    server = serve(lambda message, attempt: GOOD)
    made = interview(server, tmp_path, [Document(str(n), TEXTS[0]) for n in range(5)])
    assert len(server.asked) == 1
    assert anchors(made)["Nora"].score == 5


# Trouble


def hang_up(handler):
    handler.connection.close()


def garbage(handler):
    handler.send(200, "{not json")


def page(handler):
    handler.send(200, "<html>502</html>", kind="text/html")


def error_in_200(handler):
    handler.send(200, json.dumps({"error": {"message": "overloaded"}}))


@pytest.mark.parametrize("trouble", [429, 500, 502, 503, 408, 409, hang_up, garbage, page, error_in_200])
def test_passing_trouble_is_tried_again_and_nothing_is_lost_or_invented(serve, tmp_path, trouble):
    server = serve(lambda message, attempt: trouble if attempt <= 2 and number(message) % 3 == 0 else GOOD)
    made = interview(server, tmp_path)
    assert (made.retried, made.unanswered, made.unreadable) == (8, 0, 0)
    assert len(server.asked) == 12 + 8
    assert anchors(made)["Nora"].score == 12


def test_a_timeout_is_tried_again(serve, tmp_path):
    def once_slow(message, attempt):
        if attempt == 1:
            time.sleep(0.5)
        return GOOD

    made = interview(serve(once_slow), tmp_path, CORPUS[:1], knobs={"timeout": 0.25, "retries": 9})
    assert made.retried >= 1
    assert (made.unanswered, anchors(made)["Nora"].score) == (0, 1)


def test_the_pauses_double_and_a_longer_retry_after_is_kept(tmp_path):
    pauses, wishes = [], iter([None, "7", None, "900", None])

    class Refused(Exception):
        status_code = 429

        def __init__(self):
            self.response = SimpleNamespace(headers={"retry-after": next(wishes)})

        def __str__(self):
            return "slow down"

    def create(**request):
        raise Refused

    asking = endpoint_module.Asking(Endpoint("http://x", "m", backoff=0.5, retries=4), lambda number, reply: None)
    asking._reached = True
    asking._stop = SimpleNamespace(is_set=lambda: False, wait=lambda pause: pauses.append(pause))
    client = SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=create)))
    openai = SimpleNamespace(APIStatusError=Refused, APIError=Refused, APIConnectionError=ConnectionError)
    asking._one(client, openai, 0, "text")
    assert pauses == [0.5, 7.0, 2.0, 60.0]
    assert asking._failures == {0: "slow down"}
    assert asking.retried == 4


def test_a_passage_that_never_gets_a_reply_fails_the_run_but_the_others_are_kept(serve, tmp_path):
    server = serve(lambda message, attempt: 500 if number(message) == 7 else GOOD)
    with pytest.raises(
        UnansweredError, match="1 of 12 passages got no reply .*status 500.*asks only for the missing ones"
    ):
        interview(server, tmp_path)
    assert len((tmp_path / "replies.jsonl").read_text().splitlines()) == 11
    healed = serve(lambda message, attempt: GOOD)
    made = interview(healed, tmp_path)
    assert [number(message) for message in healed.asked] == [7]
    assert (made.cached, made.unanswered) == (11, 0)


def test_one_passage_in_a_hundred_may_stay_without_a_reply(serve, tmp_path):
    corpus = [Document(str(n), TEXTS[0].replace("passage 0", f"passage {n}")) for n in range(100)]
    made = interview(
        serve(lambda message, attempt: 500 if number(message) == 50 else GOOD), tmp_path, corpus, knobs={"retries": 0}
    )
    assert (made.unanswered, anchors(made)["Nora"].score) == (1, 99)


def test_a_server_that_goes_away_is_not_asked_on_and_on(serve, tmp_path):
    count = iter(range(10_000))
    server = serve(lambda message, attempt: GOOD if next(count) < 3 else 500)
    with pytest.raises(UnansweredError, match="9 of 12 passages got no reply"):
        interview(server, tmp_path, knobs={"concurrency": 2, "retries": 0})
    assert len(server.asked) <= 3 + 3 + 1  # three right ones, three failures, and one under way beside the last


@pytest.mark.parametrize(("status", "name"), [(401, "401"), (403, "403"), (404, "404"), (400, "400")])
def test_a_refusal_ends_it_at_once_with_the_servers_words(serve, tmp_path, status, name):
    server = serve(lambda message, attempt: status)
    with pytest.raises(ValueError, match=f"endpoint http://127.0.0.1:.* refuses: .*{name}"):
        interview(server, tmp_path, knobs={"concurrency": 2})
    assert len(server.asked) <= 3
    assert not (tmp_path / "replies.jsonl").exists()


def test_nobody_there(serve, tmp_path):
    server = ScriptedServer(lambda message, attempt: GOOD)
    server.server_close()
    with pytest.raises(ValueError, match="endpoint http://127.0.0.1:.* gives no answer: APIConnectionError"):
        interview(server, tmp_path)


def test_servers_that_know_other_words_are_asked_in_those(serve, tmp_path):
    def picky(message, attempt):
        body = server.bodies[-1]
        for key, complaint in (
            ("max_tokens", "use 'max_completion_tokens' instead of 'max_tokens'"),
            ("temperature", "no 'temperature'"),
        ):
            if key in body:
                return lambda handler: handler.send(400, json.dumps({"error": {"message": complaint}}))
        return GOOD

    server = serve(picky)
    interview(server, tmp_path, CORPUS[:1])
    assert set(server.bodies[-1]) == {"model", "messages", "max_completion_tokens"}


def test_without_the_openai_client_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(ValueError, match=r"pip install 'hp-bench\[endpoint\]'"):
        language_model_anchors(CORPUS, Endpoint("http://127.0.0.1:1", "m"), cache=tmp_path / "c")


# Resuming


def test_a_run_that_was_interrupted_asks_only_for_the_rest(serve, tmp_path):
    class Interrupted(Exception):
        pass

    real_put = ReplyCache.put

    def dying_put(self, *arguments):
        real_put(self, *arguments)
        if len(self._known) >= 5:
            raise Interrupted

    def slow(message, attempt):
        time.sleep(0.03)
        return GOOD

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ReplyCache, "put", dying_put)
        first = serve(slow)
        with pytest.raises(Interrupted):
            interview(first, tmp_path, knobs={"concurrency": 2})
    known = len((tmp_path / "replies.jsonl").read_text().splitlines())
    assert 5 <= known < 12

    second = serve(lambda message, attempt: GOOD)
    made = interview(second, tmp_path)
    assert len(second.asked) == 12 - known
    assert not set(map(number, first.asked[:4])) & set(map(number, second.asked))
    whole = interview(serve(lambda message, attempt: GOOD), tmp_path / "fresh")
    assert made.draft == whole.draft


def test_a_finished_run_asks_nothing_and_needs_no_server(serve, tmp_path):
    server = serve(lambda message, attempt: GOOD)
    made = interview(server, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "openai", None)
        again = interview(server, tmp_path)
    assert again.cached == 12
    assert again.draft == made.draft
    assert len(server.asked) == 12


def test_more_passages_ask_only_for_the_new_ones(serve, tmp_path):
    server = serve(lambda message, attempt: GOOD)
    interview(server, tmp_path, passages=4)
    interview(server, tmp_path, passages=9)
    assert len(server.asked) == len(set(server.asked)) == 9


def test_another_model_or_prompt_is_asked_anew(serve, tmp_path):
    server = serve(lambda message, attempt: GOOD)
    interview(server, tmp_path, CORPUS[:1])
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("List names: $passage")
    interview(server, tmp_path, CORPUS[:1], prompt=prompt)
    language_model_anchors(CORPUS[:1], Endpoint(server.url, "other"), cache=tmp_path / "replies.jsonl")
    assert len(server.asked) == 3


def test_a_line_half_written_by_a_kill_is_asked_again_and_spoils_nothing(serve, tmp_path):
    server = serve(lambda message, attempt: GOOD)
    interview(server, tmp_path, CORPUS[:3])
    path = tmp_path / "replies.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    made = interview(server, tmp_path, CORPUS[:3])
    assert (made.cached, len(server.asked)) == (2, 4)
    assert interview(server, tmp_path, CORPUS[:3]).cached == 3


def test_a_reply_that_was_cut_off_is_asked_again_only_for_a_longer_one(serve, tmp_path):
    server = serve(lambda message, attempt: (GOOD[:-10], "length") if number(message) == 0 else GOOD)
    for max_tokens, asked in ((50, 2), (50, 2), (40, 2), (60, 3)):
        made = interview(server, tmp_path, CORPUS[:2], knobs={"max_tokens": max_tokens})
        assert len(server.asked) == asked
        assert (made.unreadable, made.cut_off) == (1, 1)


def test_the_cache_survives_many_threads(tmp_path):
    cache = ReplyCache(tmp_path / "c.jsonl")
    threads = [
        threading.Thread(target=lambda n=n: [cache.put(f"{n}-{i}", "m", Reply("é\n" * 99), 9) for i in range(20)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = ReplyCache(tmp_path / "c.jsonl")
    assert all(again.get(f"{n}-{i}", 9) == Reply("é\n" * 99) for n in range(8) for i in range(20))


# Reading


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Here is the list:\n```\n{GOOD}\n```\nI hope it helps [really].",
        f"Here is the list: {GOOD} I hope it helps.",
        f"<think>\n[1] or {{}}?\n</think>\n{GOOD}",
        json.dumps({"anchors": ENTRIES}),
        json.dumps({entry["anchor"]: entry["translations"] for entry in ENTRIES}),
    ],
)
def test_replies_in_forms_that_models_like(text):
    read = read_reply(text)
    assert [(p.anchor, p.translations) for p in read] == [(e["anchor"], tuple(e["translations"])) for e in ENTRIES]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot help with that.",
        GOOD[:-1],
        GOOD[:-30],
        f"```json\n{GOOD[:-30]}",
        '{"anchors": ' + GOOD[:-2],
        json.dumps({"anchors": ENTRIES})[:-3],
        "[1, 2]",
        '["Nora", "Quill"]',
        '"Nora"',
        '{"anchor": "Nora"}',
        GOOD.replace('"', "'"),
        "[" * 100_000,
    ],
)
def test_what_cannot_be_read_is_not_guessed(text):
    assert read_reply(text) is None


def test_an_empty_list_is_a_reply():
    assert read_reply("[]") == []


@pytest.mark.parametrize(
    "entry",
    [{}, {"anchor": "Nora"}, {"anchor": "", "translations": ["x"]}, {"anchor": "Nora", "translations": []}, {"anchor": 1, "translations": ["x"]},
     {"anchor": "Nora", "translations": [None]}, {"anchor": "Nora", "translations": {"a": "b"}}],
)  # fmt: skip
def test_a_faulty_entry_is_counted_and_the_others_stay(entry):
    read = read_reply(json.dumps([ENTRIES[0], entry]))
    assert [p and p.anchor for p in read] == ["Nora", None]


def test_one_translation_may_be_a_string_and_an_unknown_type_is_none():
    (proposal,) = read_reply('[{"anchor": " Nora \\n Quill ", "type": "heroine", "translations": "Ann  Baker"}]')
    assert proposal == DraftAnchor("Nora Quill", ("Ann Baker",), type="")


def test_unreadable_and_cut_off_replies_are_counted_and_give_nothing(serve, tmp_path):
    def script(message, attempt):
        return {1: "no JSON here", 2: (GOOD[:-5], "length"), 3: (GOOD, "length"), 4: ""}.get(number(message), GOOD)

    made = interview(serve(script), tmp_path)
    assert (made.unreadable, made.cut_off, made.unanswered) == (3, 1, 0)
    assert anchors(made)["Nora"].score == 9


def test_nothing_but_unreadable_replies(serve, tmp_path):
    with pytest.raises(
        ValueError, match="no anchor came out of 12 replies of 'm', 12 of them unreadable; see '.*replies.jsonl'"
    ):
        interview(serve(lambda message, attempt: "no"), tmp_path)


# Merging


def said(*entries, passage="Nora Quill met Tobias in Port Ansel."):
    return passage, read_reply(
        json.dumps([dict(zip(("anchor", "translations", "type"), entry, strict=False)) for entry in entries])
    )


def merged(*replies):
    from collections import Counter

    dropped = Counter()
    return merge(replies, dropped), +dropped


def test_translations_are_distinct_and_in_order_of_frequency_then_of_naming():
    found, _ = merged(
        said(("Nora", ["Ann", "Eve"])),
        said(("Nora", ["Sue", "Eve"])),
        said(("Nora", ["Sue"])),
        said(("Nora", ["Zoe", "Eve"])),
    )
    assert found["Nora"].ordered() == ("Eve", "Sue", "Ann", "Zoe")
    assert found["Nora"].replies == 4


def test_an_anchor_that_the_passage_does_not_hold_is_dropped():
    found, dropped = merged(said(("Nor", ["x"]), ("nora", ["x"]), ("Nora", ["Ann"]), ("Ron", ["x"])))
    assert set(found) == {"Nora"}
    assert dropped == {"anchor that is not in its passage": 3}


def test_apostrophes_are_those_of_the_text():
    found, _ = merged(
        said(("Hob's Head", ["Inn"]), passage="At the Hob’s Head."),
        said(("Hob’s Head", ["Inn"]), passage="At the Hob's Head."),
    )
    assert set(found) == {"Hob’s Head", "Hob's Head"}


def test_the_commonest_type_counts():
    found, _ = merged(
        said(("Nora", ["a"], "place")),
        said(("Nora", ["a"], "person")),
        said(("Nora", ["a"], "person")),
        said(("Quill", ["b"])),
    )
    assert (found["Nora"].type, found["Quill"].type) == ("person", "other")


def test_validation_and_pruning_are_those_of_the_dictionary(serve, tmp_path):
    entries = [
        {"anchor": "Nora", "translations": ["Ann", "Nora", "Port Ansel"]},
        {"anchor": "Quill", "translations": ["Baker"]},
        {"anchor": "Nora Quill", "translations": ["Ann Baker"]},
        {"anchor": "Nora's", "translations": ["Ann's"]},
        {"anchor": "Port Ansel", "translations": ["Newbury"]},
    ]
    made = interview(serve(lambda message, attempt: json.dumps(entries)), tmp_path)
    assert {a: v.translations for a, v in anchors(made).items()} == {
        "Nora": ("Ann",),
        "Quill": ("Baker",),
        "Port Ansel": ("Newbury",),
    }
    for reason in (
        "translation that is the anchor itself",
        "translation that is an anchor too",
        "possessive of another anchor",
        "all of its words are anchors",
    ):
        assert made.draft.dropped[reason] == 1
    made.draft.save(tmp_path / "anchors.jsonl")
    assert not AnchorDictionary.load(tmp_path / "anchors.jsonl").dropped


def test_min_count_and_top(serve, tmp_path):
    def script(message, attempt):
        return json.dumps([*ENTRIES, {"anchor": f"Brandt{number(message)}", "translations": ["Reed"]}])

    server = serve(script)
    assert len(interview(server, tmp_path).draft.anchors) == 15
    few = interview(server, tmp_path, min_count=2)
    assert set(anchors(few)) == {"Nora", "Quill", "Port Ansel"}
    assert few.draft.dropped["anchor below min_count"] == 12
    best = interview(server, tmp_path, top=2)
    assert [a.anchor for a in best.draft.anchors] == ["Nora", "Port Ansel"]
    assert best.draft.dropped["beyond top"] == 13


def person(translations, kind="person"):
    made = Merged()
    made.translations.update(translations)
    made.types.update([kind])
    return made


def test_names_of_a_person_are_joined_only_where_nothing_is_in_doubt():
    full, first, last = person(["Ann Baker", "Eve", "Sue Mason"]), person(["Joan"]), person(["Miller"])
    (forms,) = one_person({"Nora Quill": full, "Nora": first, "Quill": last}).values()
    assert {form.anchor: form.translations for form in forms} == {
        "Nora Quill": ("Ann Baker", "Sue Mason"), "Nora": ("Ann", "Sue"), "Quill": ("Baker", "Mason"),
    }  # fmt: skip
    assert {form.entity for form in forms} == {"Nora Quill"}
    two = {"Nora Quill": full, "Tobias Quill": full, "Quill": last}
    assert one_person(two) == {}  # whose Quill?
    assert one_person({"Nora Quill": person(["Ann Baker"]), "Nora": first}) == {}  # too few translations of two words
    assert one_person({"Nora Quill": full, "Nora": person(["x"], "place")}) == {}
    assert one_person({"Nora Quill": full}) == {}


def test_entities_are_an_option(serve, tmp_path):
    entries = [{"anchor": "Nora Quill", "type": "person", "translations": ["Ann Baker", "Eve Mason"]}, *ENTRIES]
    server = serve(lambda message, attempt: json.dumps(entries))
    assert {a.entity for a in interview(server, tmp_path).draft.anchors} == {""}
    joined = anchors(interview(server, tmp_path, entities=True))
    assert (joined["Nora"].entity, joined["Nora"].translations) == ("Nora Quill", ("Ann", "Eve"))
    assert (joined["Quill"].entity, joined["Quill"].translations) == ("Nora Quill", ("Baker", "Mason"))


def test_the_same_replies_in_another_order_of_arrival_give_the_same_dictionary(serve, tmp_path):
    def reply(message):
        n = number(message)
        return json.dumps(
            [
                {"anchor": "Nora", "translations": [f"Name{n % 5}", f"Name{n}"]},
                {"anchor": "Quill", "translations": [f"Q{n % 3}"]},
            ]
        )

    def forwards(message, attempt):
        time.sleep(0.01 * (number(message) % 4))
        return reply(message)

    def backwards(message, attempt):
        time.sleep(0.01 * (3 - number(message) % 4))
        return reply(message)

    one = interview(serve(forwards), tmp_path / "1", knobs={"concurrency": 4})
    other = interview(serve(backwards), tmp_path / "2", knobs={"concurrency": 1})
    assert one.draft == other.draft


# Passages


def test_passages_are_drawn_by_seed_do_not_overlap_and_end_between_sentences():
    text = "\n\n".join(f"Sentence {n} one. Sentence {n} two is longer. " * 3 for n in range(60)).strip()
    corpus = [Document("a", text), Document("b", "Short."), Document("c", " \n")]
    drawn = draw_passages(corpus, count=1000, length=400, seed=0)
    assert sum(map(len, drawn)) <= len(text) + 6
    assert "".join("".join(drawn).split()) != "".join(text.split())  # shuffled
    assert sorted("".join(drawn).replace("\n", "").replace(" ", "")) == sorted(
        (text + "Short.").replace("\n", "").replace(" ", "")
    )
    assert all(passage.endswith(".") and 6 <= len(passage) <= 500 for passage in drawn)
    assert draw_passages(corpus, count=5, length=400, seed=0) == drawn[:5]
    assert draw_passages(corpus, count=5, length=400, seed=1) != drawn[:5]


def test_a_text_without_spaces_is_cut_all_the_same():
    drawn = draw_passages([Document("a", "漢" * 1000)], count=99, length=100, seed=0)
    assert "".join(drawn) == "漢" * 1000
    assert max(map(len, drawn)) <= 125


@pytest.mark.parametrize("text", ["no placeholder", "$passage and $another", "$passage costs $5"])
def test_a_wrong_prompt_is_refused(tmp_path, text):
    (tmp_path / "p.txt").write_text(text)
    with pytest.raises(ValueError, match="must hold \\$passage and no other placeholder"):
        language_model_anchors(
            CORPUS, Endpoint("http://127.0.0.1:1", "m"), cache=tmp_path / "c", prompt=tmp_path / "p.txt"
        )


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"base_url": "localhost:8000"}, "no address"),
        ({"model": ""}, "name of a model"),
        ({"concurrency": 0}, "at least 1, not 0"),
    ],
)
def test_a_wrong_endpoint_is_refused(knobs, message):
    with pytest.raises(ValueError, match=message):
        Endpoint(**{"base_url": "http://x", "model": "m", **knobs})


def test_an_empty_corpus(tmp_path):
    with pytest.raises(ValueError, match="the corpus holds no text"):
        language_model_anchors([], Endpoint("http://127.0.0.1:1", "m"), cache=tmp_path / "c")


# The command line


def run(monkeypatch, capsys, *arguments):
    from unlearn.cli import main

    monkeypatch.setattr(sys, "argv", ["unlearn", "anchors", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    return ended.value.code or 0, printed.out, printed.err


def test_the_command(serve, tmp_path, monkeypatch, capsys):
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    server = serve(lambda message, attempt: GOOD)
    arguments = [
        "--corpus",
        corpus,
        "--out",
        tmp_path / "a.jsonl",
        "--endpoint",
        server.url,
        "--model",
        "m",
        "--passages",
        8,
    ]
    code, out, _ = run(monkeypatch, capsys, *arguments, "--json")
    content = json.loads(out)
    assert code == 0
    assert (content["passages"], content["unreadable"], content["unanswered"], len(content["prompt"])) == (8, 0, 0, 16)
    assert [row["anchor"] for row in content["anchors"]] == ["Nora", "Port Ansel", "Quill"]
    assert (tmp_path / "a.replies.jsonl").exists()
    assert len(AnchorDictionary.load(tmp_path / "a.jsonl").anchors) == 3

    (tmp_path / "a.jsonl").unlink()
    code, out, _ = run(monkeypatch, capsys, *arguments)
    assert code == 0
    assert "Port Ansel" in out
    assert "cached: 8" in out
    assert len(server.asked) == 8


def test_a_failed_run_is_exit_code_1_one_sentence_and_no_dictionary(serve, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(endpoint_module, "Endpoint", partial(Endpoint, backoff=0.01, retries=1))
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    server = serve(lambda message, attempt: 500 if number(message) == 3 else GOOD)
    code, out, err = run(
        monkeypatch, capsys, "--corpus", corpus, "--out", tmp_path / "a.jsonl", "--endpoint", server.url, "--model", "m"
    )
    assert (code, out) == (1, "")
    assert "unlearn: 1 of 12 passages got no reply" in err
    assert not (tmp_path / "a.jsonl").exists()
