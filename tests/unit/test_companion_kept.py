"""Live talks are kept as chat's are: under a member's name, gone on with, taken back, and told to nobody else."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel.conversation import MOST_TURNS
from kernel.errors import EngineUnavailable, StoreUnavailable
from kernel.ids import ElderId
from kernel.sample import Message
from tests.unit.test_api import ELDER, House
from tests.unit.test_companion import OVER, Room, Talk, refused
from tests.unit.test_conversations import CAT, ask, talks

PATH = f"/ws/companion/{ELDER}"


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    house = House(tmp_path)
    house.elder()
    yield Room(house)


def said(talk: Talk, question: str) -> dict[str, Any]:
    """Its last frame."""
    talk.say(question)
    last = next(frame for frame in iter(talk.socket.receive_json, None) if frame["type"] in OVER)
    assert last["type"] == "done", last
    return dict(last)


def turns(room: Room, conversation: object) -> list[dict[str, Any]]:
    answer = room.house.client.get(f"/conversations/{conversation}")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["turns"])


def told(history: object) -> list[str]:
    return [message.content for message in history]  # type: ignore[attr-defined]


# ---- kept -----------------------------------------------------------------------------------------------


def test_a_talk_under_a_members_name_is_kept_with_its_title_and_its_memories(room: Room) -> None:
    with room.connected(member=" 小明 ") as talk:
        assert talk.ready["conversation_id"] is None  # a new one is kept with its first answer, not before
        assert talks(room.house) == []
        first, second = said(talk, "第1个村子在哪里？"), said(talk, "后来呢？")
    assert first["conversation_id"] == second["conversation_id"] is not None
    [kept] = talks(room.house, elder_id=ELDER, member="小明")
    assert (kept["conversation_id"], kept["title"]) == (first["conversation_id"], "第1个村子在哪里？")
    one, two = turns(room, first["conversation_id"])
    assert (one["question"], one["answer"], one["model"]) == ("第1个村子在哪里？", "你好！再见。", "scripted-14b")
    assert one["memory_ids"] == first["memory_ids"] and len(one["memory_ids"]) == 1
    assert two["question"] == "后来呢？"
    assert [one["turn_id"], two["turn_id"]] == [first["turn_id"], second["turn_id"]] and one["turn_id"][:2] == "u_"


def test_a_talk_without_a_member_is_kept_nowhere(room: Room) -> None:
    with room.connected() as talk:
        done = said(talk, "你好")
        assert (done["conversation_id"], done["turn_id"]) == (None, None)
        said(talk, "后来呢？")
    assert told(room.companion.asked[-1].history) == ["你好", "[开心] 你好！再见。"]
    assert talks(room.house) == []


def test_the_elders_own_model_is_named_by_its_version(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.elder()
    version = house.publish()
    with Talk(house.client.websocket_connect(PATH), {"member": "小明"}) as talk:
        done = said(talk, "你住过哪里？")
    [turn] = house.client.get(f"/conversations/{done['conversation_id']}").json()["turns"]
    assert (turn["model"], turn["answer"], turn["memory_ids"]) == (version.tag, done["text"], done["memory_ids"])


def test_what_is_asked_aloud_is_kept_as_it_was_heard(room: Room) -> None:
    with room.connected(member="小明") as talk:
        talk.socket.send_json({"type": "audio_begin"})
        talk.socket.send_bytes(b"\0\0" * 100)
        talk.socket.send_json({"type": "audio_end"})
        conversation = talk.until("done")[-1]["conversation_id"]
    assert [turn["question"] for turn in turns(room, conversation)] == [room.ears.text]


def test_an_answer_that_fails_leaves_nothing(room: Room) -> None:
    room.companion.script = ["[开心] 从前有一座山，山里有一座庙。", EngineUnavailable(engine="companion", reason="x")]
    with room.connected(member="小明") as talk:
        talk.say("讲个故事")
        talk.until("error")
    assert talks(room.house) == []


def test_an_answer_that_nobody_waits_for_leaves_nothing(room: Room) -> None:
    room.companion.script = ["[开心] 从前有一座山，山里有一座庙。", None]
    with room.connected(member="小明") as talk:
        talk.say("讲个故事")
        talk.until("text")
    assert room.companion.closed.wait(1)
    assert talks(room.house) == []


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(room.house.services.conversations, "add", broken)
    with room.connected(member="小明") as talk:
        done = said(talk, "你好")
        assert (done["text"], done["conversation_id"]) == ("你好！再见。", None)
        monkeypatch.undo()
        assert said(talk, "还在吗？")["conversation_id"]


# ---- gone on with ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", ["", "小明"])
def test_a_talk_goes_on_after_a_new_connection(room: Room, member: str) -> None:
    with room.connected(member="小明") as talk:
        conversation = said(talk, "你好吗？")["conversation_id"]
    with room.connected(conversation_id=conversation, member=member) as talk:
        assert talk.ready["conversation_id"] == conversation
        assert said(talk, "后来呢？")["conversation_id"] == conversation
        said(talk, "再后来呢？")
    _, second, third = room.companion.asked
    assert second.history == (
        Message(role="user", content="你好吗？"),
        Message(role="assistant", content="你好！再见。"),
    )
    # what was said in this connection, as it was said: tags and all
    assert told(third.history) == ["你好吗？", "你好！再见。", "后来呢？", "[开心] 你好！再见。"]
    assert [turn["question"] for turn in turns(room, conversation)] == ["你好吗？", "后来呢？", "再后来呢？"]


def test_chat_and_live_talk_go_on_with_each_others_conversations(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.elder()
    house.publish()
    conversation = ask(house, "你住过几个村子？", member="小明", retrieval=False)["conversation_id"]
    with Talk(house.client.websocket_connect(PATH), {"conversation_id": conversation}) as talk:
        spoken = said(talk, "再说说")
        assert "你住过几个村子？" in told(house.engine.asked[-1])
        ask(house, "还有呢", conversation_id=conversation, retrieval=False)
        assert spoken["text"] in told(house.engine.asked[-1])
        said(talk, "然后呢")
        assert "还有呢" in told(house.engine.asked[-1])


def test_a_question_waits_until_the_answer_before_it_is_kept(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    add, is_keeping, go = room.house.services.conversations.add, threading.Event(), threading.Event()

    def slow(*conversation: Any) -> None:
        is_keeping.set()
        assert go.wait(5)
        add(*conversation)

    monkeypatch.setattr(room.house.services.conversations, "add", slow)
    with room.connected(member="小明") as talk:
        talk.say("你好吗？")
        talk.until("text")
        assert is_keeping.wait(5)
        talk.say("后来呢？")
        go.set()
        first, second = talk.until("done")[-1], talk.until("done")[-1]
    assert (first["answer"], second["answer"]) == (1, 2)
    assert first["conversation_id"] == second["conversation_id"] is not None
    assert told(room.companion.asked[1].history) == ["你好吗？", "[开心] 你好！再见。"]


# ---- barge-in -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["say", "stop", "audio_begin"])
def test_barging_in_keeps_what_was_said_until_then(room: Room, by: str) -> None:
    room.companion.script = ["[开心] 从前有一座山，山里有一座庙。", None]
    with room.connected(member="小明") as talk:
        talk.say("第1个村子在哪里？")
        talk.until("text")
        room.companion.script = ["[平静] 好。"]
        talk.socket.send_json({"type": by} | ({"text": "别讲了"} if by == "say" else {}))
        stopped = talk.until("done")[-1]
        assert (stopped["stopped"], stopped["text"]) == (True, "从前有一座山，山里有一座庙。")
        [turn, *_] = turns(room, stopped["conversation_id"])
        assert (turn["question"], turn["answer"]) == ("第1个村子在哪里？", stopped["text"])
        assert turn["memory_ids"] == stopped["memory_ids"] and len(turn["memory_ids"]) == 1


def test_an_answer_that_was_stopped_before_its_first_word_leaves_nothing(room: Room) -> None:
    room.companion.script = [None]
    with room.connected(member="小明") as talk:
        talk.say("讲个故事")
        talk.until("memories")
        talk.socket.send_json({"type": "stop"})
        assert talk.until("done")[-1]["conversation_id"] is None
        assert talks(room.house) == []
        room.companion.script = ["[平静] 好。"]
        assert said(talk, "你好")["conversation_id"]
    assert room.companion.asked[-1].history == ()


# ---- deleted --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_stopped", [False, True])
@pytest.mark.parametrize("what", ["conversation", "memory", "elder"])
def test_what_is_deleted_while_the_answer_comes_is_not_made_again(room: Room, what: str, is_stopped: bool) -> None:
    house, go = room.house, threading.Event()
    house.client.post(f"/elders/{ELDER}/answers", json=CAT)
    elder = f"/elders/{ELDER}"
    [cat] = [one.id for one in house.services.elders.answers(house.tenant, ElderId(ELDER)) if "阿福" in one.answer]
    with room.connected(member="小明") as talk:
        conversation = said(talk, "你好吗？")["conversation_id"]
        room.companion.script = ["[开心] 它叫阿福，冬天睡在灶台边上，是一只橘猫。", go]
        talk.say("那只橘猫叫什么名字？")
        frames = talk.until("text")
        place = {"conversation": f"/conversations/{conversation}", "memory": f"{elder}/answers/{cat}", "elder": elder}
        assert house.client.delete(place[what]).status_code == 200
        if is_stopped:
            talk.socket.send_json({"type": "stop"})
        go.set()
        done = talk.until("done")[-1]
    assert len(frames[0]["memory_ids"]) == 1 and done["stopped"] is is_stopped
    assert "阿福" in done["text"] and done["conversation_id"] is None
    left = [*house.services.conversations.whole(house.tenant, ElderId(ELDER))]
    assert "阿福" not in str(left) and len(left) == (what == "memory")


def test_the_model_does_not_hear_again_of_what_was_taken_back(room: Room) -> None:
    room.house.client.post(f"/elders/{ELDER}/answers", json=CAT)
    elders = room.house.services.elders
    [cat] = [one.id for one in elders.answers(room.house.tenant, ElderId(ELDER)) if "阿福" in one.answer]
    with room.connected(member="小明") as talk:
        said(talk, "你好吗？")
        room.companion.script = ["[开心] ", CAT["answer"]]
        said(talk, "那只橘猫叫什么名字？")
        assert room.house.client.delete(f"/elders/{ELDER}/answers/{cat}").status_code == 200
        said(talk, "后来呢？")
    assert told(room.companion.asked[-1].history) == ["你好吗？", "[开心] 你好！再见。"]


def test_a_deleted_conversation_is_said_once_to_be_gone_and_the_next_question_begins_another(room: Room) -> None:
    with room.connected(member="小明") as talk:
        first = said(talk, "你好吗？")["conversation_id"]
        assert room.house.client.delete("/conversations", params={"member": "小明"}).json()["deleted"] == 1
        talk.say("后来呢？")
        told = talk.until("error")[-1]
        assert (told["code"], told["answer"]) == ("conversation_not_found", 2)
        another = said(talk, "你好")["conversation_id"]
    assert another != first and [one["conversation_id"] for one in talks(room.house, member="小明")] == [another]
    assert len(room.companion.asked) == 2 and room.companion.asked[1].history == ()


# ---- whose it is ----------------------------------------------------------------------------------------


def test_another_familys_members_or_elders_conversation_is_not_gone_on_with(room: Room) -> None:
    with room.connected(member="小明") as talk:
        conversation = said(talk, "你好吗？")["conversation_id"]
    ours, theirs = room.house.client, room.house.stranger
    for client in (ours, theirs):
        client.post("/elders", json={"elder_id": "OTHER", "name": "n", "language": "zh"})
    not_found, hello = ("conversation_not_found", 4404), {"type": "hello", "conversation_id": conversation}
    assert refused(theirs.websocket_connect("/ws/companion/OTHER"), hello) == not_found
    assert refused(ours.websocket_connect("/ws/companion/OTHER"), hello) == not_found
    assert refused(ours.websocket_connect(PATH), hello | {"member": "小红"}) == not_found
    assert refused(ours.websocket_connect(PATH), hello | {"conversation_id": "c_none"}) == not_found
    assert len(turns(room, conversation)) == 1 and len(room.companion.asked) == 1


def test_a_full_conversation_says_to_begin_a_new_one(room: Room) -> None:
    house = room.house
    with room.connected(member="小明") as talk:
        conversation = said(talk, "你好吗？")["conversation_id"]
    [turn] = house.services.conversations.get(house.tenant, conversation).turns
    for _ in range(MOST_TURNS - 1):
        house.services.conversations.add_turn(house.tenant, conversation, turn)
    hello = {"type": "hello", "conversation_id": conversation}
    assert refused(house.client.websocket_connect(PATH), hello) == ("conversation_full", 4409)


@pytest.mark.parametrize("bad", [{"member": "m" * 101}, {"member": "\0"}, {"conversation_id": "c" * 65}])
def test_a_name_or_an_id_that_chat_would_refuse_is_bad_input(room: Room, bad: dict[str, str]) -> None:
    with room.house.client.websocket_connect(PATH) as socket:
        socket.send_json({"type": "hello"} | bad)
        assert socket.receive_json()["code"] == "bad_input"
    answer = room.house.client.post("/chat", json={"elder_id": ELDER, "message": "q"} | bad)
    assert answer.status_code == 422


def test_no_word_and_no_name_of_a_talk_is_in_a_log(
    room: Room, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(room.house.services.conversations, "add", broken)
    with caplog.at_level(logging.DEBUG), room.connected(member="小明") as talk:
        said(talk, "你好吗？")
    out, err = capfd.readouterr()
    logged = caplog.text + out + err
    assert "conversation.not_kept" in logged
    assert not any(word in logged for word in ("小明", "你好吗", "再见"))
