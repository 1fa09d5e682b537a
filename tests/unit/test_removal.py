"""What an elder said leaves every store with the elder, and what one answer said with that answer."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from kernel.conversation import Conversation, Turn
from kernel.errors import AnswerNotFound, StoreUnavailable
from kernel.evaluation import Probe
from kernel.extraction import Extract
from kernel.feedback import Feedback
from kernel.ids import ConversationId, ElderId, FileId, JobId, TurnId
from kernel.language_model import Call, Reply, Schema, Task
from kernel.memory import Answer, collect_memories
from kernel.removal import WordStores, take_back_answer
from kernel.sample import Message
from kernel.training_file import TrainingFile
from tests.unit.test_api import ELDER, NOW, House

ME = ElderId(ELDER)
WORDS = "The ginger cat Biscuit slept on the stove."  #: Latin letters: a file's bytes show them, too
CAT = Answer(question="cat?", answer=WORDS)
[MEMORY] = collect_memories([CAT], elder_name="李小明", language="zh").items


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Every store holds the words of one answer, and something of its elder."""
    house = House(tmp_path)
    house.elder()
    house.publish()
    house.client.post(f"/train/cancel/{house.start()['job_id']}")
    fill(house.services.word_stores, house)
    return house


@pytest.mark.parametrize(
    ("store", "verb", "read", "path", "body"),
    [
        ("feedbacks", "put", "of_elder", "/feedback", {"question": "cat?", "answer": WORDS, "verdict": "up"}),
        ("conversations", "add", "whole", "/chat", {"message": WORDS, "member": "小明", "retrieval": False}),
        ("jobs", "add", "of_elder", "/train/start", {}),
    ],
)
def test_what_is_kept_while_its_elder_is_deleted_is_taken_away_again(
    house: House, monkeypatch: pytest.MonkeyPatch, store: str, verb: str, read: str, path: str, body: dict[str, object]
) -> None:
    held = getattr(house.services, store)
    keep = getattr(held, verb)

    def late(*told: object) -> None:
        assert house.client.delete(f"/elders/{ELDER}").status_code == 200
        keep(*told)

    monkeypatch.setattr(held, verb, late)
    answer = house.client.post(path, json={"elder_id": ELDER} | body)
    assert (answer.status_code, answer.json().get("conversation_id")) == (200 if path == "/chat" else 404, None)
    assert list(getattr(held, read)(house.tenant, ME)) == []


def fill(words: WordStores, house: House) -> None:
    us = house.tenant
    words.elders.add_answers(us, ME, [CAT])
    words.elders.set_probes(us, ME, [Probe(question="dog?", expects=())])
    said = Message(role="user", content=WORDS)
    task = Task(
        purpose="note",
        messages=(said,),
        schema=Schema(name="note", properties={}),
        max_tokens=9,
        memory_ids=(MEMORY.id,),
    )
    reply = Reply(value={"title": WORDS}, tokens_read=1, tokens_written=1)
    words.replies.keep(us, ME, "key", Call(job=JobId("j"), model="m", task=task, reply=reply, at=NOW))
    words.golden.approve(us, ME, MEMORY.id, Extract(summary=WORDS))
    file = TrainingFile(id=FileId("f"), name="cats.jsonl", size_bytes=9, created_at=NOW, elders=(ME,))
    words.files.add(us, file, json.dumps({"question": CAT.question, "answer": WORDS}).encode())
    turn = Turn(id=TurnId("t"), question="cat?", answer=WORDS, memory_ids=(MEMORY.id,), model="m", asked_at=NOW)
    talk = Conversation(id=ConversationId("c"), elder=ME, member="小明", created_at=NOW, updated_at=NOW, turns=(turn,))
    words.conversations.add(us, talk)
    thumb = Feedback(
        member="小明", question="cat?", answer=WORDS, memory_ids=(MEMORY.id,), model="m", is_up=True, given_at=NOW
    )
    words.feedbacks.put(us, ME, thumb)
    words.index.similarities(us, ME, "cat?", digest="d", texts=[WORDS])


def held(store: Any) -> str:
    """All that a store in memory holds."""
    return repr(vars(store))


def stores(house: House) -> dict[str, Any]:
    """Whatever the service keeps something in that can be deleted; its files are looked at elsewhere."""
    every = {one.name: getattr(house.services, one.name) for one in fields(house.services)}
    return {
        name: store
        for name, store in every.items()
        if hasattr(store, "delete") and type(store).__module__ in ("tests.memory_store", "tests.fakes")
    }


def test_an_elder_leaves_nothing_in_any_store_of_the_service(house: House) -> None:
    assert {one.name for one in fields(WordStores)} <= set(stores(house))
    for name, store in stores(house).items():
        assert ELDER in held(store), f"nothing of the elder in {name}: fill it above, and clear it in kernel/removal.py"
    assert house.client.delete(f"/elders/{ELDER}").status_code == 200
    assert [name for name, store in stores(house).items() if ELDER in held(store)] == []


def test_an_answer_that_is_taken_back_leaves_its_words_in_no_store(house: House) -> None:
    words = house.services.word_stores
    with_words = {one.name for one in fields(words) if WORDS in held(getattr(words, one.name))}
    assert with_words == {one.name for one in fields(words)} - {"index"}  # which holds vectors
    take_back_answer(house.tenant, ME, CAT.id, words=words)
    assert [one.name for one in fields(words) if WORDS in held(getattr(words, one.name))] == []


@pytest.mark.parametrize(
    ("store", "step"),
    [
        ("replies", "forget"),
        ("golden", "forget"),
        ("files", "delete"),
        ("conversations", "remove_turns"),
        ("feedbacks", "remove"),
        ("elders", "remove_answer"),
    ],
)
def test_taking_back_that_was_cut_off_anywhere_is_asked_for_again_and_goes_on(
    house: House, monkeypatch: pytest.MonkeyPatch, store: str, step: str
) -> None:
    words = house.services.word_stores

    def cut_off(*_: object) -> None:
        raise StoreUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(getattr(words, store), step, cut_off)
        with pytest.raises(StoreUnavailable):
            take_back_answer(house.tenant, ME, CAT.id, words=words)
    take_back_answer(house.tenant, ME, CAT.id, words=words)
    assert [one.name for one in fields(words) if WORDS in held(getattr(words, one.name))] == []


def test_no_answer_takes_no_file_along(house: House) -> None:
    house.services.files.add(
        house.tenant, TrainingFile(id=FileId("x"), name="x", size_bytes=1, created_at=NOW, elders=(ME,)), b"x"
    )
    with pytest.raises(AnswerNotFound):
        take_back_answer(house.tenant, ME, MEMORY.id, words=house.services.word_stores)  # type: ignore[arg-type]
    assert len(house.services.files.of_elder(house.tenant, ME)) == 2
