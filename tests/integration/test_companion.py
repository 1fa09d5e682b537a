"""The companion as a family meets it: real servers on loopback ports, a real small model, speech in and speech out."""

import asyncio
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import SHUT_RDWR

import pytest
import uvicorn
from rich.console import Console
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from adapters.base_models import BaseModelStore
from adapters.companion_wire import RemoteCompanion
from adapters.embedded_speech import EspeakService, PocketsphinxService
from adapters.program import tied_to_parent
from config.companion_config import read_companion
from config.config_loader import ConfigLoader
from config.settings import ROOT, read_settings
from kernel.errors import HeirloomError
from kernel.ids import ElderId
from kernel.speech import Sound, read_wav, write_wav
from modelserver.cli.account import Account
from modelserver.cli.companion import CompanionClient, ask
from modelserver.cli.port import free_port
from modelserver.cli.words import CliError, Words
from tests.unit.test_api import ELDER, House
from tests.unit.test_companion import Scripted

pytestmark = pytest.mark.integration
SETTINGS = read_companion(environ={})


class Home:
    """A family's house behind a real server; the elder speaks English."""

    def __init__(self, folder: Path, url: str) -> None:
        self.house, self.url = House(folder), url
        client = self.house.client
        assert client.post("/elders", json={"elder_id": ELDER, "name": "Margaret", "language": "en"}).is_success
        for where in ("Leeds", "Whitby", "Hull"):
            told = {"question": f"What of {where}?", "answer": f"I grew up near {where}, by the river, with my aunt."}
            assert client.post(f"/elders/{ELDER}/answers", json=told).is_success
        self.parts = self.house.app.state.companion
        self.parts.listener, self.parts.speaker = PocketsphinxService(), EspeakService()
        self.account = Account(url=url, key=client.headers["authorization"].removeprefix("Bearer "))

    @contextmanager
    def socket(self, **hello: object) -> Iterator[ClientConnection]:
        address = self.url.replace("http", "ws") + f"/ws/companion/{ELDER}"
        with connect(address, max_size=None, proxy=None) as socket:
            socket.send(json.dumps({"type": "hello", "key": self.account.key, **hello}))
            assert json.loads(socket.recv())["type"] == "ready"
            yield socket


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    port = free_port()
    home = Home(tmp_path, f"http://127.0.0.1:{port}")
    server = uvicorn.Server(uvicorn.Config(home.house.app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield home
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def small_model() -> Iterator[RemoteCompanion]:
    """`python -m workers.companion` with SmolLM2-135M on the CPU."""
    settings = read_settings()
    config = ConfigLoader(settings.config_file, model_dir=settings.model_dir)
    base = config.get_base_model("smollm2-135m-instruct")
    BaseModelStore(llama_cpp_dir=settings.llama_cpp_dir).prepare(base, lambda *_, **__: None)
    url = f"http://127.0.0.1:{free_port()}"
    changed = {
        "HEIRLOOM_COMPANION_URL": url,
        "HEIRLOOM_COMPANION_KEY": "secret",
        "HEIRLOOM_COMPANION__MODEL": base.key,
        "HEIRLOOM_COMPANION__FALLBACK_MODEL": base.key,
        "HEIRLOOM_COMPANION__PROFILES__FAST__MAX_NEW_TOKENS": "24",
        "HEIRLOOM_COMPANION__PREFILL_TOKENS": "64",
        "HEIRLOOM_COMPANION__GENERATION_TIMEOUT_SECONDS": "300",  # on a machine that others use
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONPATH": str(ROOT),
    }
    with started([sys.executable, "-m", "workers.companion"], changed):
        companion = RemoteCompanion(url, key="secret")
        for _ in range(1200):
            try:
                companion.check()
                break
            except HeirloomError:
                time.sleep(0.25)
        companion.check()
        yield companion


@contextmanager
def started(command: list[str], changed: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        tied_to_parent(command), env={**os.environ, **changed}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    yield
    process.kill()
    process.wait()


def spoken(text: str, language: str = "en") -> Sound:
    async def run() -> Sound:
        stream = EspeakService().synthesize_stream(text, emotion=SETTINGS.emotions[0], language=language)
        sounds = [one async for one in stream]
        samples = b"".join(one.samples for one in sounds)
        return Sound(samples=bytes(13_000) + samples + bytes(13_000), rate=sounds[0].rate)

    return asyncio.run(run())


def test_a_recorded_question_is_heard_answered_with_feeling_and_spoken(
    home: Home, small_model: RemoteCompanion, tmp_path: Path
) -> None:
    home.parts.companion = small_model
    out, shown = tmp_path / "answer.wav", io.StringIO()
    client = CompanionClient(home.account, ELDER, language="en", profile="fast", voice=True)
    with closing(client):
        assert (client.ready["engine"], client.ready["hears"], client.ready["speaks"]) == (
            "transformers",
            ["en"],
            ["en", "zh"],
        )
        client.play(write_wav(spoken("Where did you grow up?")))
        ask(client, out=out, console=Console(file=shown, width=500), words=Words("en"))
        client.say("And with whom?")
        *_, done = client.answer()
    said = shown.getvalue()
    assert "heard: where did you grow" in said
    assert any(f"[{emotion}] " in said for emotion in SETTINGS.allowed_emotions)
    assert "memories: m_" in said
    assert read_wav(out.read_bytes()).seconds > 0.3
    assert done["text"] and done["emotion"] in SETTINGS.allowed_emotions


def test_a_chinese_answer_is_written_felt_and_spoken(home: Home) -> None:
    home.parts.companion = Scripted()
    with home.socket(language="zh", voice=True) as socket:
        socket.send(json.dumps({"type": "say", "text": "你好吗？"}))
        sound, told = b"", []
        while not told or told[-1]["type"] != "done":
            frame = socket.recv(timeout=60)
            if isinstance(frame, bytes):
                sound += frame
            else:
                told.append(json.loads(frame))
    assert [one["emotion"] for one in told if one["type"] == "emotion"] == ["开心"]
    assert told[-1]["text"] == "你好！再见。"
    assert len(sound) > 22050


def test_who_vanishes_stops_the_generation_within_a_second(home: Home) -> None:
    home.parts.companion = companion = Scripted()
    companion.script = ["[Happy] One two three four five six.", None]
    with home.socket() as socket:
        socket.send(json.dumps({"type": "say", "text": "Count"}))
        while json.loads(socket.recv())["type"] != "text":
            pass
        socket.socket.shutdown(SHUT_RDWR)
        assert companion.closed.wait(1)


def test_ten_megabytes_are_refused_and_what_breaks_the_protocol_is_closed(home: Home) -> None:
    with home.socket() as socket:
        socket.send(b"\0" * 10_000_000)
        assert json.loads(socket.recv())["code"] == "too_large"
        socket.send(b"\xff\xfe", text=True)
        with pytest.raises(ConnectionClosedError) as closed:
            socket.recv(timeout=10)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1007
    with home.socket() as socket:
        socket.send(b"\0" * 17_000_000)
        with pytest.raises(ConnectionClosedError) as closed:
            socket.recv(timeout=10)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


def test_a_talk_under_a_name_goes_on_after_a_new_connection_and_what_is_not_kept_is_said(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.parts.companion = companion = Scripted()
    conversation, shown = "", io.StringIO()
    for question in ("Where did you grow up?", "And then?"):
        client = CompanionClient(home.account, ELDER, language="en", member="Mia", conversation=conversation)
        with closing(client):
            assert client.ready["conversation_id"] == (conversation or None)
            client.say(question)
            conversation = list(client.answer())[-1]["conversation_id"]
    assert [turn.content for turn in companion.asked[1].history] == ["Where did you grow up?", "你好！再见。"]
    client = CompanionClient(home.account, ELDER, language="en", conversation=conversation)
    with closing(client):
        for question in ("And now?", "And then?"):
            client.say(question)
            ask(client, out=None, console=Console(file=shown, width=500), words=Words("en"))
            monkeypatch.setattr(home.house.services.conversations, "add_turn", lambda *_: False)
    [talk] = home.house.services.conversations.whole(home.house.tenant, ElderId(ELDER))
    assert f"kept as {talk.turns[-1].id}\n" in shown.getvalue()
    assert "This answer was not kept." in shown.getvalue()


def test_a_key_that_is_wrong_is_one_sentence(home: Home) -> None:
    with pytest.raises(CliError, match=r"key\.wrong"):
        CompanionClient(Account(url=home.url, key="hl_wrong"), ELDER, language="en")
    with pytest.raises(CliError, match=r"api\.down"):
        CompanionClient(Account(url="http://127.0.0.1:9", key="x"), ELDER, language="en")
