"""Uploads: what a family sends is taken whole or refused with the line that is wrong."""

import json
from dataclasses import asdict

import bson
import pytest

from kernel.errors import BadInput, BadLine, TooLarge
from kernel.upload import MAX_EXPECTS, MAX_PROBES, MAX_QUESTION, make_answer, read_answers, read_probes

LIMIT = 1_000


def _lines(*rows: object) -> bytes:
    return "\n".join(row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows).encode()


def test_answers_are_read_in_order_with_blank_lines_and_a_byte_order_mark_ignored() -> None:
    body = b"\xef\xbb\xbf" + _lines({"question": "q", "answer": "一"}, "", {"answer": "two"}) + b"\r\n"
    assert [(one.question, one.answer) for one in read_answers(body, max_answer_bytes=LIMIT)] == [
        ("q", "一"),
        ("", "two"),
    ]


def test_the_exported_form_is_read_back() -> None:
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a"},
    ]
    answers = read_answers(_lines({"messages": messages, "memory_id": "m"}), max_answer_bytes=LIMIT)
    assert (answers[0].question, answers[0].answer) == ("q", "a")


def test_an_answer_of_weight_0_is_not_learnt() -> None:
    messages = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "not so", "weight": 0},
        {"role": "user", "content": "really?"},
        {"role": "assistant", "content": "so", "weight": 1},
    ]
    answers = read_answers(_lines({"messages": messages}), max_answer_bytes=LIMIT)
    assert [(one.question, one.answer) for one in answers] == [("really?", "so")]


@pytest.mark.parametrize(
    "bad",
    [
        '{"question": ',
        '"text"',
        '{"question": "q"}',
        '{"question": "q", "answer": 3}',
        '{"answer": "a\\u0000b"}',
        '{"answer": "half a character: \\ud800"}',
        "[" * 200_000,
        '{"messages": [{"role": "user", "content": "q"}]}',
    ],
)
def test_a_broken_line_is_named_by_its_number(bad: str) -> None:
    with pytest.raises(BadLine) as refused:
        read_answers(_lines({"question": "q", "answer": "a"}, bad), max_answer_bytes=LIMIT)
    assert refused.value.details["line"] == 2


def test_a_line_that_is_not_utf8_is_named_by_its_number() -> None:
    with pytest.raises(BadLine, match=r"Line 1.*UTF-8"):
        read_answers('{"answer": "记忆"}'.encode("gb18030"), max_answer_bytes=LIMIT)


def test_an_answer_that_is_too_large_is_refused() -> None:
    with pytest.raises(TooLarge):
        make_answer("q", "a" * (LIMIT + 1), max_answer_bytes=LIMIT)


@pytest.mark.parametrize("said", ["  \n", "\u200b", "\0\0", "👍👍", "……"])
def test_an_answer_without_words_is_no_memory(said: str) -> None:
    with pytest.raises(BadInput) as refused:
        make_answer("q", said, max_answer_bytes=LIMIT, line=3)
    assert "on line 3 holds no words" in refused.value.message("en")
    assert refused.value.message("zh") == "第 3 行的回答里没有文字：请写下老人说的话。"


def test_a_probe_without_expectations_is_unanswerable() -> None:
    probes = read_probes(_lines({"question": "a", "expects": [["x", "y"]]}, {"question": "b"}))
    assert [probe.expects for probe in probes] == [(("x", "y"),), ()]
    with pytest.raises(BadLine):
        read_probes(_lines({"question": "a", "expects": ["x"]}))


@pytest.mark.parametrize("expects", [[["a" * 1_000]], [["a"]] * 200, [["\ud800"]]])
def test_what_is_expected_is_kept_with_all_other_questions_or_its_line_is_named(expects: list[list[str]]) -> None:
    with pytest.raises(BadLine) as refused:
        read_probes(_lines({"question": "q"}, json.dumps({"question": "q", "expects": expects})))
    assert refused.value.details["line"] == 2 and "“expects”" in refused.value.message("zh")


def test_more_answers_than_are_kept_in_one_go_are_refused() -> None:
    with pytest.raises(TooLarge) as refused:
        read_answers(_lines(*[{"answer": "one"}] * 5_001), max_answer_bytes=LIMIT)
    assert "5000 条回答" in refused.value.message("zh")


def test_an_empty_file_is_said_to_be_empty() -> None:
    with pytest.raises(BadInput, match="empty"):
        read_answers(b"\n", max_answer_bytes=LIMIT)


def test_a_conversation_gives_an_answer_for_each_turn() -> None:
    said = [("system", "s"), ("user", "q1"), ("assistant", "a1"), ("user", "q2"), ("assistant", "a2")]
    line = {"messages": [{"role": role, "content": content} for role, content in said]}
    answers = read_answers(_lines(line), max_answer_bytes=LIMIT)
    assert [(one.question, one.answer) for one in answers] == [("q1", "a1"), ("q2", "a2")]


def test_a_question_as_long_as_a_story_is_refused() -> None:
    with pytest.raises(TooLarge):
        make_answer("q" * 2_001, "a", max_answer_bytes=200_000)
    with pytest.raises(BadInput):
        make_answer("\ud800", "a", max_answer_bytes=LIMIT)


def test_a_thousand_questions_are_enough() -> None:
    assert len(read_probes(_lines(*[{"question": "q"}] * 1_000))) == 1_000
    with pytest.raises(TooLarge):
        read_probes(_lines(*[{"question": "q"}] * 1_001))


@pytest.mark.parametrize("group", ["😀", "😀" * (MAX_EXPECTS - 6)])
def test_the_longest_list_of_questions_is_one_document(group: str) -> None:
    groups = [[group]] * max(1, (MAX_EXPECTS - 2) // len(f'["{group}"], '))
    probes = read_probes(_lines(*[{"question": "😀" * MAX_QUESTION, "expects": groups}] * MAX_PROBES))
    assert len(bson.encode({"items": [asdict(probe) for probe in probes]})) < 16_000_000
