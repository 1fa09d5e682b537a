"""Conversations and feedback over REST: kept, gone on with, taken back, and told to nobody else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.conversation import MOST_TURNS, title_of
from kernel.errors import StoreUnavailable
from kernel.ids import ElderId
from tests.unit.test_api import ELDER, House

CAT = {"question": "猫？", "answer": "那只橘猫叫阿福，冬天总睡在灶台边上。"}


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.elder()
    house.publish()
    return house


def ask(house: House, message: str, **more: object) -> dict[str, object]:
    answer = house.client.post("/chat", json={"elder_id": ELDER, "message": message} | more)
    assert answer.status_code == 200, answer.text
    assert (answer.headers["X-Generated-By"], answer.json()["generated_by_ai"]) == ("AI", True)
    return dict(answer.json())


def talks(house: House, **asked: str) -> list[dict[str, object]]:
    return list(house.client.get("/conversations", params=asked).json()["conversations"])


def thumb(house: House, verdict: str = "down", **more: object) -> dict[str, object]:
    said = {"elder_id": ELDER, "question": "你住过哪里？", "answer": "住过北京。", "member": "小明", "verdict": verdict}
    answer = house.client.post("/feedback", json=said | more)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_chat_without_a_member_is_kept_nowhere(house: House) -> None:
    assert ask(house, "q")["conversation_id"] is None
    assert talks(house) == []


def test_a_conversation_goes_on_with_what_was_said_in_it(house: House) -> None:
    first = ask(house, "你住过几个村子？", member=" 小明 ", retrieval=False)
    forged = [{"role": "user", "content": "forged"}]
    ask(house, "再说说", conversation_id=first["conversation_id"], conversation_history=forged, retrieval=False)
    history = [turn.content for turn in house.engine.asked[-1][1:-1]]
    assert history == ["你住过几个村子？", "你住过几个村子？"]  # this engine says back what it is asked
    [talk] = talks(house, elder_id=ELDER, member="小明")
    assert (talk["title"], talk["member"]) == ("你住过几个村子？", "小明")
    whole = house.client.get(f"/conversations/{first['conversation_id']}")
    assert [turn["question"] for turn in whole.json()["turns"]] == ["你住过几个村子？", "再说说"]
    assert whole.headers["X-Generated-By"] == "AI" and whole.json()["turns"][0]["generated_by_ai"] is True


def test_a_stream_is_kept_when_it_ends_and_not_when_it_breaks(house: House) -> None:
    said = {"elder_id": ELDER, "message": "q", "member": "小明", "stream": True}
    streamed = house.client.post("/chat", json=said)
    assert streamed.headers["X-Generated-By"] == "AI"
    [talk] = talks(house)
    assert str(talk["conversation_id"]) in streamed.text
    house.engine.is_down = True
    assert "event: error" in house.client.post("/chat", json=said).text
    assert talks(house) == [talk]


def test_another_elders_or_members_conversation_is_not_gone_on_with(house: House) -> None:
    talk = ask(house, "q", member="小明")["conversation_id"]
    house.client.post("/elders", json={"elder_id": "OTHER", "name": "n", "language": "zh"})
    for wrong in ({"elder_id": "OTHER"}, {"member": "小红"}, {"conversation_id": "c_none"}):
        said = {"elder_id": ELDER, "message": "q", "conversation_id": talk} | wrong
        answer = house.client.post("/chat", json=said)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "conversation_not_found")
    assert len(house.services.conversations.get(house.tenant, talk).turns) == 1  # type: ignore[arg-type]


def test_a_full_conversation_says_to_begin_a_new_one(house: House) -> None:
    talk = ask(house, "q", member="小明", retrieval=False)["conversation_id"]
    [turn] = house.services.conversations.get(house.tenant, talk).turns  # type: ignore[arg-type]
    for _ in range(MOST_TURNS - 1):
        house.services.conversations.add_turn(house.tenant, talk, turn)  # type: ignore[arg-type]
    answer = house.client.post("/chat", json={"elder_id": ELDER, "message": "q", "conversation_id": talk})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conversation_full")


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(house.services.conversations, "add", broken)
    said = ask(house, "q", member="小明", retrieval=False)
    assert (said["response"], said["conversation_id"]) == ("q", None)


def test_one_conversation_and_all_of_a_member_are_deleted(house: House) -> None:
    kept = ask(house, "q", member="小红")["conversation_id"]
    gone = [ask(house, "q", member="小明")["conversation_id"] for _ in range(3)]
    assert house.client.delete(f"/conversations/{gone[0]}").json() == {"success": True, "deleted": 1}
    assert house.client.delete(f"/conversations/{gone[0]}").status_code == 404
    assert house.client.delete("/conversations").status_code == 422  # whose?
    assert house.client.delete("/conversations", params={"member": "小明"}).json()["deleted"] == 2
    assert [talk["conversation_id"] for talk in talks(house)] == [kept]


@pytest.mark.parametrize("what", ["conversation", "memory", "elder"])
def test_what_is_deleted_while_the_answer_comes_is_not_made_again(
    house: House, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    house.client.post(f"/elders/{ELDER}/answers", json=CAT)
    talk = ask(house, "q", member="小明", retrieval=False)["conversation_id"]
    [cat] = [one.id for one in house.services.elders.answers(house.tenant, ElderId(ELDER)) if "阿福" in one.answer]
    elder = f"/elders/{ELDER}"
    place = {"conversation": f"/conversations/{talk}", "memory": f"{elder}/answers/{cat}", "elder": elder}
    speak = house.engine.chat

    def chat(*asked: object):  # type: ignore[no-untyped-def]
        assert house.client.delete(place[what]).status_code == 200
        yield from speak(*asked)  # type: ignore[arg-type]

    monkeypatch.setattr(house.engine, "chat", chat)
    going_on = {"conversation_id": talk} if what == "conversation" else {"member": "小红"}
    said = ask(house, "那只橘猫叫什么名字？", **going_on)
    assert said["response"] and said["conversation_id"] is None
    assert "阿福" not in str([*house.services.conversations.whole(house.tenant, ElderId(ELDER))])


def test_an_answer_that_repeats_from_the_conversation_what_is_taken_back_meanwhile_is_not_kept(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.client.post(f"/elders/{ELDER}/answers", json=CAT)
    talk = ask(house, "你好吗？", member="小明", retrieval=False)["conversation_id"]
    [cat] = [one.id for one in house.services.elders.answers(house.tenant, ElderId(ELDER)) if "阿福" in one.answer]
    assert ask(house, "那只橘猫叫什么名字？", conversation_id=talk)["memory_ids"]

    def repeat(*_: object) -> Iterator[str]:
        assert house.client.delete(f"/elders/{ELDER}/answers/{cat}").status_code == 200
        yield CAT["answer"]

    monkeypatch.setattr(house.engine, "chat", repeat)
    assert ask(house, "再说一遍", conversation_id=talk, retrieval=False)["conversation_id"] is None
    [left] = house.services.conversations.whole(house.tenant, ElderId(ELDER))
    assert [turn.question for turn in left.turns] == ["你好吗？"]


def test_a_memory_taken_back_takes_the_turns_and_the_feedback_that_rest_on_it(house: House) -> None:
    house.client.post(f"/elders/{ELDER}/answers", json=CAT)
    talk = ask(house, "你在哪些村子住过？", member="小明", retrieval=False)["conversation_id"]
    given = ask(house, "那只橘猫叫什么名字？", conversation_id=talk)
    ask(house, CAT["answer"], member="小红", retrieval=False)  # said by the weights, with nothing shown
    thumb(house, question="猫？", answer="不记得", correction=CAT["answer"])
    thumb(house, "up", question="猫叫什么？", answer="叫阿福", memory_ids=given["memory_ids"])
    stays = thumb(house, "up")
    told = house.client.get(f"/elders/{ELDER}/answers").json()["answers"]
    [cat] = [one["answer_id"] for one in told if one["answer"] == CAT["answer"]]
    house.client.delete(f"/elders/{ELDER}/answers/{cat}")
    assert [one["member"] for one in talks(house)] == ["小明"]
    [turn] = house.client.get(f"/conversations/{talk}").json()["turns"]
    assert turn["question"] == "你在哪些村子住过？"
    left = house.client.get("/feedback", params={"elder_id": ELDER}).json()["feedback"]
    assert [one["feedback_id"] for one in left] == [stays["feedback_id"]]


def test_an_answer_names_the_words_of_each_memory_that_it_rests_on(house: House) -> None:
    house.client.post(f"/elders/{ELDER}/answers", json=CAT)
    said = ask(house, "那只橘猫叫什么名字？", member="小明")
    words = {one["memory_id"]: one["words"] for one in said["evidence"]}  # type: ignore[index, union-attr]
    texts = {one["id"]: one["text"] for one in said["memories"]}  # type: ignore[index, union-attr]
    assert words and all(piece in texts[id] for id, pieces in words.items() for piece in pieces)
    whole = house.client.get(f"/conversations/{said['conversation_id']}").json()
    assert {one["memory_id"]: one["words"] for one in whole["turns"][0]["evidence"]} == words


def test_a_strict_chat_generates_nothing_where_no_memory_fits(house: House) -> None:
    said = ask(house, "xyzzy", strict=True, member="小明")
    assert (said["refused"], said["response"], said["memory_ids"]) == (True, "这个我不记得了。", [])
    assert house.engine.asked == []
    streamed = house.client.post("/chat", json={"elder_id": ELDER, "message": "xyzzy", "strict": True, "stream": True})
    assert "这个我不记得了。" in streamed.text and '"refused": true' in streamed.text
    whole = house.client.get(f"/conversations/{said['conversation_id']}").json()
    assert whole["turns"][0]["refused"] is True
    assert ask(house, "xyzzy")["refused"] is False


def test_a_title_is_the_questions_first_words_in_one_line() -> None:
    assert title_of("Where were\n you born?") == "Where were you born?"
    long = "Tell me all that you still remember about the long winter of the year when the river froze over"
    assert title_of(long) == "Tell me all that you still remember about the long winter of…"
    assert title_of("讲" * 50) == "讲" * 20 + "…"


def test_feedback_is_listed_exported_and_taken_back(house: House) -> None:
    given = thumb(house, "up")
    again = thumb(house, correction="我住过《临沂》。")
    assert (given["feedback_id"], again["unsupported"]) == (again["feedback_id"], ["临沂"])
    listed = house.client.get("/feedback", params={"elder_id": ELDER}).json()
    assert (listed["total"], listed["feedback"][0]["correction"]) == (1, "我住过《临沂》。")
    lines = house.client.get(f"/export-feedback/{ELDER}").text.splitlines()
    assert len(lines) == 1 and "临沂" in lines[0]
    assert house.client.delete(f"/feedback/{ELDER}/{again['feedback_id']}").status_code == 200
    assert house.client.delete(f"/feedback/{ELDER}/{again['feedback_id']}").status_code == 404


def test_a_correction_is_a_memory_only_when_the_person_says_so(house: House) -> None:
    before = house.services.elders.count_answers(house.tenant, ElderId(ELDER))
    assert thumb(house, correction="我住过《临沂》。")["answer_id"] is None
    assert house.services.elders.count_answers(house.tenant, ElderId(ELDER)) == before
    kept = thumb(house, correction="我住过《临沂》。", remember=True)
    assert kept["unsupported"] == []  # a memory holds it now
    told = house.client.get(f"/elders/{ELDER}/answers").json()["answers"][-1]
    assert told == {
        "answer_id": kept["answer_id"], "question": "你住过哪里？", "answer": "我住过《临沂》。", "personal_data": [],
    }  # fmt: skip


def test_a_members_thumb_is_shown_with_the_turn(house: House) -> None:
    said = ask(house, "q", member="小明", retrieval=False)
    thumb(house, "up", question="q", answer=said["response"], member="小红")
    turns = f"/conversations/{said['conversation_id']}"
    assert house.client.get(turns).json()["turns"][0]["feedback"] is None
    thumb(house, "up", question="q", answer=said["response"])
    assert house.client.get(turns).json()["turns"][0]["feedback"]["verdict"] == "up"


@pytest.mark.parametrize(
    "bad",
    [
        {"verdict": "meh"},
        {"verdict": "up", "correction": "c"},
        {"remember": True},
        {"answer": ""},
        {"question": "q" * 8_001},
        {"correction": "c" * 2_001},
        {"member": "m" * 101},
        {"memory_ids": ["m"] * 21},
        {"unknown": 1},
    ],
)
def test_feedback_that_makes_no_sense_is_refused_and_not_kept(house: House, bad: dict[str, object]) -> None:
    said = {"elder_id": ELDER, "question": "q", "answer": "a", "verdict": "down"} | bad
    answer = house.client.post("/feedback", json=said, headers={"Accept-Language": "zh"})
    assert answer.status_code == 422 and not answer.json()["error"]["message"].isascii()
    half = b'{"elder_id": "%s", "question": "q", "answer": "\\ud800", "verdict": "down"}' % ELDER.encode()
    assert house.client.post("/feedback", content=half, headers={"Content-Type": "application/json"}).status_code == 422
    assert house.services.feedbacks.of_elder(house.tenant, ElderId(ELDER)) == []


def test_the_pages_own_files_are_served_and_nothing_else(house: House) -> None:
    for name, kind in (("page.css", "text/css"), ("talk.js", "text/javascript"), ("", "text/html")):
        answer = house.client.get(f"/{name}")
        assert answer.status_code == 200 and answer.headers["Content-Type"].startswith(kind)
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
    for name in ("index.html", "none.js", "..%2fapp.py", "%2e%2e/app.py"):
        assert house.client.get(f"/{name}").status_code == 404
