"""What an elder wrote in a chat becomes answers, whatever programme exported it."""

import json
import time
from datetime import datetime

import pytest

from kernel.chat_export import ChatMessage, read_csv, read_jsonl, read_telegram, read_wechat, told_by
from kernel.errors import BadInput, BadLine

STORY = "My father kept forty ewes above Tarn Beck, and knew them all."
TOLD = [("Tom", "Gran, what did your father do?"), ("Gran", STORY), ("Gran", "He sang to them."), ("Tom", "Really?")]


def telegram():
    rows = [
        {"id": number, "type": "message", "date": f"2021-03-04T10:0{number}:00", "from": who, "text": said}
        for number, (who, said) in enumerate(TOLD)
    ]
    rows[1]["text"] = ["My father kept ", {"type": "bold", "text": "forty ewes"}, STORY.partition("forty ewes")[2]]
    return [{"id": 9, "type": "service", "action": "pin_message", "actor": "Gran"}, *rows]


def all_forms():
    lines = [{"sender": who, "text": said, "at": f"2021-03-04T10:0{n}:00"} for n, (who, said) in enumerate(TOLD)]
    table = ["\ufefflocalId,Type,IsSender,StrContent,StrTime,Remark,NickName"]
    table += [f'{n},1,0,"{said}",2021-03-04 10:0{n}:00,{who},wx_{n}' for n, (who, said) in enumerate(TOLD)]
    table += ["9,3,0,<img/>,2021-03-04 10:09:00,Gran,wx_9"]
    return {
        "jsonl": read_jsonl("\n".join(map(json.dumps, lines)).encode()),
        "telegram": read_telegram(json.dumps({"name": "Gran", "messages": telegram()})),
        "telegram, all chats": read_telegram(json.dumps({"chats": {"list": [{"messages": telegram()}]}})),
        "wechat, table": read_csv("\n".join(table)),
        "wechat, time first": read_wechat(
            "\n".join(f"2021-03-04 10:0{n}:00 {w}\n{s}\n" for n, (w, s) in enumerate(TOLD))
        ),
        "wechat, name first": read_wechat(
            "\n".join(f"{w}(wxid_7) 2021/3/4 10:0{n}\n{s}" for n, (w, s) in enumerate(TOLD))
        ),
    }


@pytest.mark.parametrize("form", all_forms())
def test_every_form_gives_the_same_answer_to_what_was_asked(form):
    (answer,) = told_by("Gran", all_forms()[form])
    assert answer.question == "Gran, what did your father do?"
    assert answer.answer == f"{STORY}\nHe sang to them."
    assert answer.told_at == datetime(2021, 3, 4, 10, 2)


def test_small_talk_pictures_and_the_others_words_are_no_memories():
    said = [ChatMessage(sender="奶奶", text=text) for text in ("好的", "[图片]", "[语音]", "<Media omitted>")]
    assert told_by("奶奶", [*said, ChatMessage(sender="小明", text=STORY * 2)]) == []


def test_what_was_said_long_ago_is_not_what_is_answered_and_turns_far_apart_are_two():
    morning, night, later = (datetime(2021, 3, 4, hour) for hour in (8, 20, 21))
    answers = told_by(
        "Gran",
        [
            ChatMessage(sender="Tom", text="Did you feed the cat?", at=morning),
            ChatMessage(sender="Gran", text=STORY, at=night),
            ChatMessage(sender="Gran", text=STORY.upper(), at=later),
        ],
    )
    assert [(one.question, one.answer) for one in answers] == [("", STORY), ("", STORY.upper())]


def test_an_unknown_elder_is_told_who_wrote():
    with pytest.raises(BadInput, match="Tom, Gran"):
        told_by("Granny", all_forms()["jsonl"])


@pytest.mark.parametrize("broken", ["", "{", "[]", "{}", '{"messages": 3}', '{"messages": [1]}', "[" * 100_000])
def test_a_broken_telegram_export_is_an_error(broken):
    with pytest.raises(BadInput):
        read_telegram(broken)


@pytest.mark.parametrize("broken", ["", "a,b\n1,2\n", "sender,text\n", "\x00"])
def test_a_table_without_a_chat_is_an_error(broken):
    with pytest.raises(BadInput):
        read_csv(broken)


def test_a_chats_line_without_words_is_named():
    with pytest.raises(BadLine, match="Line 2"):
        read_jsonl(b'{"sender": "a", "text": "b"}\n{"sender": "a"}')


def test_odd_times_columns_and_long_lines_cost_nothing() -> None:
    began = time.monotonic()
    assert read_wechat("2020-01-01 10:00 a" + " " * 100_000 + "x") == []
    odd = json.dumps({"sender": "Gran", "text": STORY, "at": "9" * 30 + "-1-1"}) + "\n"
    assert told_by("Gran", read_jsonl(odd.encode()))[0].told_at is None
    wide = "sender,text," + ",".join(f"c{n}" for n in range(5_000)) + "\n" + f"Gran,{STORY}\n" * 5_000
    assert len(told_by("Gran", read_csv(wide))) == 1
    assert time.monotonic() - began < 5


def test_half_a_character_is_no_text() -> None:
    with pytest.raises(BadLine, match="half a character"):
        read_jsonl(b'{"sender": "\\ud800", "text": "hello"}')
    with pytest.raises(BadInput):
        read_telegram('{"messages": [{"from": "\\ud800", "text": "hello"}]}')


def test_what_was_asked_in_another_chat_later_is_not_what_is_answered() -> None:
    asked = ChatMessage(sender="Tom", text="Did you pay the gas bill?", at=datetime(2023, 1, 1))
    told = ChatMessage(sender="Gran", text=STORY, at=datetime(2019, 1, 1))
    assert told_by("Gran", [asked, told])[0].question == ""


def test_a_diary_with_a_time_in_it_is_no_chat():
    assert read_wechat("2021-03-04 10:00 Sunday\n" + "I fed the hens and wrote to Tom.\n" * 20) == []
    assert read_wechat("We met at 10:00.\nIt was 1958-03-04.") == []
