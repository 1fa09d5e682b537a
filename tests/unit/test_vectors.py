"""Vectors follow what is told, in the background, and nothing is made again of what was taken back or deleted."""

from collections.abc import Callable, Sequence
from threading import Event

import pytest
from kombu.exceptions import OperationalError

from adapters.doorbell import TASK, VECTORS_TASK, CeleryDoorbell, celery_app
from kernel.clock import utc_now
from kernel.elder import Elder
from kernel.errors import EngineUnavailable, StoreUnavailable
from kernel.ids import ElderId, JobId, TenantId, digest
from kernel.memory import Answer, collect_memories
from kernel.retrieval import Retriever, views
from kernel.vectors import MOST, follow
from tests.fakes import Letters, MemoryIndex, Reads
from tests.memory_store import MemoryElders
from tests.unit.test_api import Bell
from workers.vectors import make_vectors

US, THEM, ELDER = TenantId("us"), TenantId("them"), ElderId("e")
TOLD = [
    Answer(question="What was your dog's name?", answer="Our dog Bramble could open the pantry door."),
    Answer(question="Where did you work?", answer="I worked in a bakery, up at four each morning."),
    Answer(question="How was the weather?", answer="It rained on all seven days of our honeymoon."),
]


class Slow(Letters):
    """What happens while texts are embedded, once."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], object] = lambda: None

    def embed(self, texts: Sequence[str], *, is_query: bool) -> list[list[float]]:
        happens, self.meanwhile = self.meanwhile, lambda: None
        happens()
        return super().embed(texts, is_query=is_query)


class House:
    """Two families, whose elders have the same id and told the same."""

    def __init__(self) -> None:
        self.elders, self.bell, self.embedder = MemoryElders(), Bell(), Slow()
        self.index = MemoryIndex(self.embedder)
        for tenant in (US, THEM):
            self.elders.add(tenant, Elder(id=ELDER, name="Rose", language="en", base_model="", created_at=utc_now()))
            self.elders.add_answers(tenant, ELDER, TOLD)

    def follow(self) -> bool:
        return follow(US, ELDER, elders=self.elders, index=self.index)

    def work(self) -> None:
        make_vectors(US, ELDER, elders=self.elders, index=self.index, doorbell=self.bell)

    def delete(self) -> None:
        """In the order of kernel.removal."""
        self.elders.remove_words(US, ELDER)
        self.index.delete(US, ELDER)
        self.elders.delete(US, ELDER)


def vectors(answers: Sequence[Answer]) -> set[str]:
    memories = collect_memories(answers, elder_name="Rose", language="en").items
    return {digest(text) for text in views(memories)}


@pytest.fixture
def house() -> House:
    return House()


def test_the_first_question_finds_every_vector_made(house: House) -> None:
    assert house.follow()
    made = house.index.embeds
    memories = collect_memories(TOLD, elder_name="Rose", language="en")
    found = Retriever(memories, index=house.index, reranker=Reads(), tenant=US, elder=ELDER).find("the bakery?", 1)
    assert [one.answer for one in found] == [TOLD[1].answer]
    assert house.index.embeds == made == len(vectors(TOLD))


def test_following_again_makes_nothing_and_no_other_family_is_touched(house: House) -> None:
    house.follow()
    made = house.index.embeds
    assert house.follow() and house.index.embeds == made
    assert house.index.holds(US, ELDER) == vectors(TOLD)
    assert not house.index.has(THEM, ELDER)


def test_what_was_taken_back_leaves(house: House) -> None:
    house.follow()
    house.elders.remove_answer(US, ELDER, TOLD[0].id)
    house.follow()
    assert house.index.holds(US, ELDER) == vectors(TOLD[1:])


def test_a_memory_that_is_taken_back_while_its_vector_is_made_has_none(house: House) -> None:
    house.embedder.meanwhile = lambda: house.elders.remove_answer(US, ELDER, TOLD[0].id)
    assert house.follow()
    assert house.index.holds(US, ELDER) == vectors(TOLD[1:])


def test_what_is_told_while_vectors_are_made_has_them_too(house: House) -> None:
    more = Answer(question="Did you dance?", answer="Every Saturday, in the hall behind the church.")
    house.embedder.meanwhile = lambda: house.elders.add_answers(US, ELDER, [more])
    house.work()
    assert house.bell.told == [(US, ELDER)] and house.index.embeds == len(vectors(TOLD))
    house.work()
    assert house.index.holds(US, ELDER) == vectors([*TOLD, more])


def test_an_elder_who_is_deleted_while_vectors_are_made_has_none(house: House) -> None:
    house.embedder.meanwhile = house.delete
    assert house.follow()
    assert not house.index.has(US, ELDER)


def test_an_elder_who_was_deleted_before_the_index_was_opened_has_no_vectors(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = house.index.hold

    def late(tenant: TenantId, elder: ElderId, texts: Sequence[str], *, most: int) -> bool:
        house.delete()
        return hold(tenant, elder, texts, most=most)

    monkeypatch.setattr(house.index, "hold", late)
    house.work()
    assert not house.index.has(US, ELDER)


def test_a_message_for_an_elder_who_is_gone_makes_nothing(house: House) -> None:
    house.delete()
    house.work()
    assert not house.index.has(US, ELDER) and not house.index.embeds and not house.bell.told


def test_a_long_life_is_made_in_parts_and_each_rings_for_the_next(house: House) -> None:
    house.elders.add_answers(
        US, ELDER, [Answer(question=f"And in {year}?", answer=f"In {year} we lived in a house.") for year in range(150)]
    )
    house.work()
    assert (house.index.embeds, house.bell.told) == (MOST, [(US, ELDER)])
    house.work()
    assert house.bell.told == [(US, ELDER)]
    assert house.index.holds(US, ELDER) == vectors(house.elders.answers(US, ELDER))


@pytest.mark.parametrize("error", [EngineUnavailable(engine="chroma", reason="down"), StoreUnavailable()])
def test_what_a_worker_cannot_make_is_left_to_the_first_question(
    house: House, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def down(*_: object, **__: object) -> bool:
        raise error

    monkeypatch.setattr(house.index, "hold", down)
    house.work()
    assert not house.bell.told


def test_the_message_carries_ids_and_nothing_else() -> None:
    app = celery_app("memory://")
    CeleryDoorbell(app).ring_for_vectors(US, ELDER)
    with app.connection_for_read() as connection:
        message = connection.SimpleQueue("cpu").get(timeout=20)
    args, named, _ = message.decode()
    assert (message.headers["task"], args, named) == (VECTORS_TASK, [US, ELDER], {})


def test_a_training_goes_before_vectors() -> None:
    app = celery_app("memory://")
    sent = []
    app.send_task = lambda task, *, priority, **_: sent.append((task, priority))
    doorbell = CeleryDoorbell(app)
    doorbell.ring(US, JobId("j"), "cpu")
    doorbell.ring_for_vectors(US, ELDER)
    _until(lambda: len(sent) == 2)
    assert dict(sent) == {TASK: 0, VECTORS_TASK: 9}  # Redis: the lowest first


def test_nobody_waits_for_a_broker_that_hangs_and_one_message_stands_for_many() -> None:
    app = celery_app("memory://")
    begun, hangs, sent = Event(), Event(), []

    def send(task: str, *, args: list[str], **_: object) -> None:
        begun.set()
        assert hangs.wait(20)
        sent.append(args)

    app.send_task = send
    doorbell = CeleryDoorbell(app)
    doorbell.ring_for_vectors(US, ELDER)
    assert begun.wait(20)
    for tenant in (THEM, US, THEM, US):
        doorbell.ring_for_vectors(tenant, ELDER)
    assert not sent
    hangs.set()
    _until(lambda: len(sent) == 3)
    assert sent == [[US, ELDER], [THEM, ELDER], [US, ELDER]]


def test_a_broker_that_is_down_does_not_end_what_rings() -> None:
    app = celery_app("memory://")
    sent = []

    def send(task: str, *, args: list[str], **_: object) -> None:
        sent.append(args)
        if len(sent) < 3:
            raise [OperationalError(), RuntimeError()][len(sent) - 1]

    app.send_task = send
    doorbell = CeleryDoorbell(app)
    for count in range(1, 4):
        doorbell.ring_for_vectors(US, ELDER)
        _until(lambda count=count: len(sent) == count)


def _until(is_so: Callable[[], bool]) -> None:
    for _ in range(2000):
        if is_so():
            return
        Event().wait(0.01)
    raise AssertionError("it never was")
