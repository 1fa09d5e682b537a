"""Rolling back while the family talks: through the REST interface, with the embedded engine and real adapters."""

import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import anyio
import httpx
import pytest

from adapters.llama_cpp import LlamaCppEngine
from kernel.version import ModelVersion
from modelserver.app import create_app
from tests.tiny_gguf import make_tiny_gguf, make_word_adapter, plain_words
from tests.unit.test_api import ELDER, House

CHATS, SWITCHES, AT_ONCE = 200, 20, 40
WORDS = dict(enumerate((word for _, word in plain_words(3)), start=1))
BASE = "smollm2-135m-instruct"


@pytest.fixture
def family(tmp_path: Path) -> Iterator["Family"]:
    base = make_tiny_gguf(tmp_path / "base.gguf")
    engine = LlamaCppEngine(tmp_path / "gguf", threads=1, context_tokens=512, bases={BASE: base})
    with closing(engine):
        yield Family(tmp_path, engine)


class Family:
    """Three versions of one elder's model, each saying a word of its own; the third is in use."""

    def __init__(self, folder: Path, engine: LlamaCppEngine) -> None:
        house = House(folder)
        house.elder()
        first = house.publish()
        for number, (token, _) in enumerate(plain_words(3), start=1):
            version = replace(first, number=number, base=BASE, storage="adapter", is_active=False)
            engine.register(version, make_word_adapter(folder / f"{number}.gguf", token))
            house.services.versions.add(house.tenant, version)
            house.services.versions.activate(house.tenant, version.elder, number)
        self.name = first.name
        app = create_app(replace(house.services, engine=engine))
        self._transport = httpx.ASGITransport(app)
        self._headers = {"Authorization": house.client.headers["Authorization"]}
        self.versions: list[ModelVersion] = house.services.versions.of_elder(house.tenant, first.elder)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=self._transport, base_url="http://family", headers=self._headers, timeout=300
        )


async def ask(client: httpx.AsyncClient, *, stream: bool) -> tuple[str, set[str]]:
    """(the version's tag, the words it said)"""
    body = {"elder_id": ELDER, "message": "你是谁？", "max_tokens": 4, "retrieval": False, "stream": stream}
    answer = await client.post("/chat", json=body)
    assert answer.status_code == 200, answer.text
    told = json.loads(answer.text.rpartition("event: done\ndata: ")[2]) if stream else answer.json()
    return told["model"], set(told["response"].split())


def test_200_chats_go_on_while_versions_switch_20_times_each_answered_by_one_version(family: Family) -> None:
    said: list[tuple[str, set[str]]] = []
    seconds: list[float] = []

    async def talk(client: httpx.AsyncClient, number: int, seats: anyio.CapacityLimiter) -> None:
        async with seats:
            said.append(await ask(client, stream=bool(number % 2)))

    async def switch(client: httpx.AsyncClient) -> None:
        for turn in range(SWITCHES):
            while len(said) < turn * CHATS // (SWITCHES + 1):
                await anyio.sleep(0.001)
            began = time.monotonic()
            to = 2 - turn % 2  # 2, 1, 2, 1 ...: the third is left at once
            answer = await client.post(f"/models/{ELDER}/activate", json={"version": to})
            seconds.append(time.monotonic() - began)
            assert answer.json()["version"] == to, answer.text
            if turn == SWITCHES // 2:
                gone = await client.delete(f"/models/{ELDER}/versions/3")
                assert gone.status_code == 200, gone.text

    async def main() -> None:
        seats = anyio.CapacityLimiter(AT_ONCE)
        async with family.client() as client, anyio.create_task_group() as group:
            group.start_soon(switch, client)
            for number in range(CHATS):
                group.start_soon(talk, client, number, seats)

    anyio.run(main)

    by_version = Counter(model.rpartition(":v")[2] for model, _ in said)
    assert all(words == {WORDS[int(model.rpartition(":v")[2])]} for model, words in said)
    assert (len(said), len(seconds)) == (CHATS, SWITCHES)
    assert min(by_version["1"], by_version["2"]) > CHATS // 10
    assert statistics.median(seconds) < 1.0


def test_a_question_that_waited_while_its_version_was_retired_is_answered_by_the_one_in_use(family: Family) -> None:
    """The store is read when the question comes; its seat is free only later."""
    from modelserver.answering import Answering, begin, prepare
    from modelserver.schemas.chat import ChatIn

    services = family._transport.app.state.services
    tenant = family.versions[0].tenant
    asked = prepare(services, tenant, ChatIn(elder_id=ELDER, message="你是谁？", max_tokens=3, retrieval=False))
    assert asked.version.number == 3
    services.models.roll_back(tenant, asked.version.elder)
    services.models.retire(tenant, asked.version.elder, 3)

    answering = Answering(asked)
    begin(services, answering)

    assert answering.asked.version.number == 2
    assert set("".join([answering.piece or "", *answering.pieces]).split()) == {WORDS[2]}
