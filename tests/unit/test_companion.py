"""The companion's WebSocket: its frames, whose they are, and that nothing goes on when nobody listens."""

import json
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from adapters.engines import Engines
from kernel.companion import Asked, Emotion, Given, Place
from kernel.errors import ContextTooLong, EngineUnavailable, HeirloomError, SpeechUnavailable
from kernel.ids import ElderId
from kernel.ports import ChatOptions
from kernel.sample import Message
from kernel.speech import Sound, write_wav
from kernel.version import ModelVersion
from modelserver.companion_parts import CompanionParts
from tests.unit.test_api import ELDER, House, recalling, surely_meant

Frame = dict[str, Any]
OVER = ("done", "error")


class Scripted:
    """Given the best memory, it says what it is told to; at an event it waits for that, at None until it is stopped."""

    name = "scripted"

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.script: list[str | HeirloomError | threading.Event | None] = ["[开", "心] 你好！", "再见。"]
        self.asked: list[Asked] = []
        self.closed = threading.Event()

    async def answer(self, asked: Asked) -> AsyncIterator[Place | Given | str]:
        self.asked.append(asked)
        for place in self.places:
            yield place
        yield Given(memories=asked.found.memories[:1], model="scripted-14b")
        try:
            for one in self.script:
                if one is None:
                    await anyio.sleep_forever()
                elif isinstance(one, threading.Event):
                    await anyio.to_thread.run_sync(one.wait)
                elif isinstance(one, HeirloomError):
                    raise one
                else:
                    yield one
        finally:
            self.closed.set()


class Ears:
    languages = frozenset({"zh"})

    def __init__(self) -> None:
        self.heard, self.text = b"", "你住在哪里"

    async def transcribe_stream(self, samples: AsyncIterator[bytes], *, language: str) -> str:
        self.heard = b"".join([piece async for piece in samples])
        return self.text


class Mouth:
    languages = frozenset({"zh"})
    is_broken = False

    async def synthesize_stream(self, text: str, *, emotion: Emotion, language: str) -> AsyncIterator[Sound]:
        if self.is_broken:
            raise SpeechUnavailable(what="The voice", reason="GPT-SoVITS does not answer at its address")
        yield Sound(samples=f"{emotion.en}:{text}".encode(), rate=22050)


class Room:
    def __init__(self, house: House) -> None:
        self.house, self.companion, self.ears, self.mouth = house, Scripted(), Ears(), Mouth()
        self.parts: CompanionParts = house.app.state.companion
        self.parts.companion, self.parts.listener, self.parts.speaker = self.companion, self.ears, self.mouth

    def connected(self, **hello: object) -> "Talk":
        return Talk(self.house.client.websocket_connect(f"/ws/companion/{ELDER}"), hello)


class Talk:
    def __init__(self, session: WebSocketTestSession, hello: dict[str, object]) -> None:
        self._session, self._hello = session, hello

    def __enter__(self) -> "Talk":
        self.socket = self._session.__enter__()
        self.socket.send_json({"type": "hello", **self._hello})
        self.ready = self.socket.receive_json()
        return self

    def __exit__(self, *error: Any) -> None:
        self._session.__exit__(*error)

    def say(self, text: str) -> None:
        self.socket.send_json({"type": "say", "text": text})

    def until(self, kind: str) -> list[Any]:
        """Frames up to the first of this kind; sound as bytes."""
        frames: list[Any] = []
        while not (frames and isinstance(frames[-1], dict) and frames[-1]["type"] == kind):
            message = self.socket.receive()
            assert message["type"] == "websocket.send", f"closed after {frames}"
            frames.append(json.loads(message["text"]) if message.get("text") else message["bytes"])
        return frames


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    house = House(tmp_path)
    house.elder()
    yield Room(house)


def kinds(frames: list[Any]) -> list[str]:
    return ["sound" if isinstance(frame, bytes) else frame["type"] for frame in frames]


# ---- an answer ------------------------------------------------------------------------------------------


def test_an_answer_is_its_place_then_what_it_was_given_then_emotion_then_text_then_done(room: Room) -> None:
    room.companion.places = [Place(place=2), Place(place=1)]
    with room.connected() as talk:
        assert talk.ready["type"] == "ready"
        assert (talk.ready["language"], talk.ready["profile"]) == ("zh", "balanced")
        assert "开心" in talk.ready["emotions"] and talk.ready["generated_by"] == "ai"
        talk.say("第1个村子在哪里？")
        frames = talk.until("done")
    assert kinds(frames) == ["queue", "queue", "memories", "emotion", "text", "text", "done"]
    assert all(frame["answer"] == 1 for frame in frames)
    *places, memories, emotion, _, _, done = frames
    assert len(room.companion.asked[0].found.memories) == 3 and len(memories["memory_ids"]) == 1
    assert [place["place"] for place in places] == [2, 1]
    assert emotion["emotion"] == done["emotion"] == "开心"
    assert (done["text"], done["stopped"], done["generated_by"]) == ("你好！再见。", False, "ai")
    assert done["memory_ids"] == memories["memory_ids"]


def test_each_answer_is_made_from_what_was_said_before_tags_and_all(room: Room) -> None:
    with room.connected(profile="fast") as talk:
        for question in ("你好吗？", "后来呢？"):
            talk.say(question)
            talk.until("done")
    first, second = room.companion.asked
    assert first.history == ()
    assert second.history == (
        Message(role="user", content="你好吗？"),
        Message(role="assistant", content="[开心] 你好！再见。"),
    )
    assert first.conversation == second.conversation and second.profile == "fast"


def test_the_answer_is_spoken_sentence_by_sentence_with_its_emotion(room: Room) -> None:
    with room.connected(voice=True) as talk:
        talk.say("你好")
        frames = talk.until("done")
    begun = [frame for frame in frames if isinstance(frame, dict) and frame["type"] == "audio_begin"]
    assert [frame for frame in frames if isinstance(frame, bytes)] == ["Happy:你好！".encode(), "Happy:再见。".encode()]
    assert all((one["emotion"], one["sample_rate"], one["format"]) == ("开心", 22050, "pcm16") for one in begun)
    assert kinds(frames).count("audio_end") == 2


def test_a_voice_that_fails_leaves_the_writing(room: Room) -> None:
    room.mouth.is_broken = True
    with room.connected(voice=True) as talk:
        talk.say("你好")
        frames = talk.until("done")
    assert [frame["code"] for frame in frames if frame["type"] == "error"] == ["speech_unavailable"]
    assert frames[-1]["text"] == "你好！再见。"


def test_the_voice_is_switched_on_and_off_within_one_talk_and_nothing_of_it_is_forgotten(room: Room) -> None:
    with room.connected() as talk:
        for on in (None, True, False):
            if on is not None:
                talk.socket.send_json({"type": "voice", "on": on})
            talk.say("你好")
            assert ("sound" in kinds(talk.until("done"))) is bool(on)
    assert [len(asked.history) for asked in room.companion.asked] == [0, 2, 4]
    assert len({asked.conversation for asked in room.companion.asked}) == 1


@pytest.mark.parametrize(("on", "spoken"), [(True, "Happy:再见。"), (False, "Happy:你好！")])
def test_the_voice_is_switched_within_the_answer_under_way_too(room: Room, on: bool, spoken: str) -> None:
    go = threading.Event()
    room.companion.script = ["[开心] 你好！", go, "再见。"]
    with room.connected(voice=not on) as talk:
        talk.say("你好")
        frames = talk.until("text" if on else "audio_end")
        talk.socket.send_json({"type": "voice", "on": on})
        talk.socket.send_json({"type": "nothing"})
        frames += talk.until("error")  # so both were read
        go.set()
        frames += talk.until("done")
    assert [frame.decode() for frame in frames if isinstance(frame, bytes)] == [spoken]


# ---- barge-in, and who goes away -------------------------------------------------------------------------


@pytest.mark.parametrize("utterance", ["say", "audio_begin"])
def test_a_new_utterance_stops_the_old_answer_at_once(room: Room, utterance: str) -> None:
    room.companion.script = ["[开心] 从前有一座山，山里有一座庙。", None]
    with room.connected() as talk:
        talk.say("讲个故事")
        talk.until("text")
        room.companion.script = ["[平静] 好。"]
        if utterance == "say":
            talk.say("别讲了")
        else:
            talk.socket.send_json({"type": "audio_begin"})
            talk.socket.send_bytes(b"\0\0" * 100)
            talk.socket.send_json({"type": "audio_end"})
        stopped, *after = talk.until("done") + talk.until("done")
    assert (stopped["answer"], stopped["stopped"]) == (1, True)
    assert stopped["text"] == "从前有一座山，山里有一座庙。"
    assert all(frame["answer"] == 2 for frame in after)
    assert room.companion.asked[1].history[-1].content.startswith("[开心] 从前")


def test_stop_ends_an_answer_and_the_conversation_goes_on(room: Room) -> None:
    room.companion.script = ["[开心] 一二三四。", None]
    with room.connected() as talk:
        talk.say("数数")
        talk.until("text")
        talk.socket.send_json({"type": "stop"})
        assert talk.until("done")[-1]["stopped"] is True
        assert room.companion.closed.wait(1)
        room.companion.script = ["[平静] 好。"]
        talk.say("谢谢")
        assert talk.until("done")[-1]["text"] == "好。"


def test_who_goes_away_stops_the_generation_within_a_second(room: Room) -> None:
    room.companion.script = ["[开心] 一二三四。", None]
    with room.connected() as talk:
        talk.say("数数")
        talk.until("text")
    assert room.companion.closed.wait(1)


def test_who_goes_away_while_speaking_leaves_nothing_open(room: Room) -> None:
    with room.connected() as talk:
        talk.socket.send_json({"type": "audio_begin"})
        talk.socket.send_bytes(b"\0\0" * 100)
    assert not room.companion.asked


# ---- sound -----------------------------------------------------------------------------------------------


def test_a_recording_is_heard_and_answered(room: Room) -> None:
    with room.connected() as talk:
        talk.socket.send_bytes(write_wav(Sound(samples=b"\1\0" * 8000, rate=8000)))
        heard, *_, done = talk.until("done")
    assert (heard["type"], heard["text"]) == ("heard", "你住在哪里")
    assert len(room.ears.heard) == 2 * 16000  # one second, at the rate that is heard
    assert room.companion.asked[0].user_input == "你住在哪里" and not done["stopped"]


def test_samples_are_heard_as_they_come(room: Room) -> None:
    with room.connected() as talk:
        talk.socket.send_json({"type": "audio_begin", "sample_rate": 16000})
        for piece in (b"\1\0" * 10, b"\2\0" * 10):
            talk.socket.send_bytes(piece)
        talk.socket.send_json({"type": "audio_end"})
        talk.until("done")
    assert room.ears.heard == b"\1\0" * 10 + b"\2\0" * 10


@pytest.mark.parametrize("sound", [b"not a wav", b"", b"\xff" * 50, b"RIFF\x24\0\0\0WAVEfmt "])
def test_a_broken_recording_is_a_typed_error_and_the_conversation_goes_on(room: Room, sound: bytes) -> None:
    with room.connected() as talk:
        talk.socket.send_bytes(sound)
        assert talk.until("error")[-1]["code"] == "bad_audio"
        talk.say("你好")
        assert talk.until("done")[-1]["text"] == "你好！再见。"


def test_an_utterance_that_is_too_long_is_refused_once(room: Room) -> None:
    room.parts.settings = replace(room.parts.settings, max_utterance_seconds=0.01)
    with room.connected() as talk:
        talk.socket.send_json({"type": "audio_begin"})
        for _ in range(5):
            talk.socket.send_bytes(b"\0\0" * 200)
        talk.socket.send_json({"type": "audio_end"})
        talk.say("你好")
        frames = talk.until("error") + talk.until("memories")
    assert [frame["code"] for frame in frames if frame["type"] == "error"] == ["bad_audio"]


def test_silence_and_a_language_that_nobody_hears_are_typed_errors(room: Room) -> None:
    with room.connected() as talk:
        room.ears.text = ""
        talk.socket.send_bytes(write_wav(Sound(samples=b"\0\0" * 800, rate=16000)))
        assert talk.until("error")[-1]["code"] == "bad_audio"
        room.ears.languages = frozenset()
        talk.socket.send_bytes(write_wav(Sound(samples=b"\0\0" * 800, rate=16000)))
        assert talk.until("error")[-1]["code"] == "speech_unavailable"


# ---- what cannot be read, and what fails ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("not json", "bad_input"),
        ('{"type": "sing"}', "bad_input"),
        ('{"type": "say"}', "bad_input"),
        ('{"type": "say", "text": ""}', "bad_input"),
        ('{"type": "hello"}', "bad_input"),
        ('{"type": "audio_begin", "sample_rate": 8000}', "bad_input"),
        ('{"type": "say", "text": "\\ud800"}', "bad_input"),
        ('{"type": "say", "text": "' + "x" * 10_000_000 + '"}', "too_large"),
    ],
)
def test_a_frame_that_cannot_be_read_is_a_typed_error_and_the_conversation_goes_on(
    room: Room, text: str, code: str
) -> None:
    with room.connected() as talk:
        talk.socket.send_text(text)
        assert talk.until("error")[-1]["code"] == code
        talk.say("你好")
        assert talk.until("done")[-1]["stopped"] is False


def test_sound_of_ten_megabytes_is_a_typed_error(room: Room) -> None:
    with room.connected() as talk:
        talk.socket.send_bytes(b"\0" * 10_000_000)
        assert talk.until("error")[-1]["code"] == "too_large"


@pytest.mark.parametrize(
    "error", [EngineUnavailable(engine="companion", reason="x"), ContextTooLong(limit=9), RuntimeError("a secret word")]
)
def test_an_engine_that_fails_is_an_error_frame_without_a_word_of_its_own(room: Room, error: Any) -> None:
    class Broken(Scripted):
        async def answer(self, asked: Asked) -> AsyncIterator[Place | Given | str]:
            yield "[开心] 你"
            raise error

    room.parts.companion = Broken()
    with room.connected(voice=True) as talk:
        talk.say("你好")
        told = talk.until("error")[-1]
        assert told["code"] == getattr(error, "code", "error")
        assert "secret" not in json.dumps(told)
        room.parts.companion = room.companion
        talk.say("还在吗？")
        assert talk.until("done")[-1]["text"] == "你好！再见。"


def test_a_reader_of_another_language_is_told_of_errors_in_their_own(room: Room) -> None:
    with room.connected(reads="en") as talk:
        assert talk.ready["language"] == "zh"
        talk.socket.send_bytes(b"?")
        assert "cannot be read" in talk.until("error")[-1]["message"]


def test_errors_are_told_in_the_language_of_the_conversation(room: Room) -> None:
    with room.connected(language="en") as talk:
        talk.socket.send_bytes(b"?")
        assert "cannot be read" in talk.until("error")[-1]["message"]
    with room.connected() as talk:
        talk.socket.send_bytes(b"?")
        assert "录音无法读取" in talk.until("error")[-1]["message"]


# ---- whose it is --------------------------------------------------------------------------------------------


def refused(session: WebSocketTestSession, first: Frame) -> tuple[str, int]:
    with session as socket:
        socket.send_json(first)
        code = socket.receive_json()["code"]
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        return code, closed.value.code


def test_without_the_familys_key_nobody_is_let_in(room: Room) -> None:
    from fastapi.testclient import TestClient

    nobody, path = TestClient(room.house.app), f"/ws/companion/{ELDER}"
    assert refused(nobody.websocket_connect(path), {"type": "hello"}) == ("unauthorized", 4401)
    assert refused(nobody.websocket_connect(path), {"type": "hello", "key": "hl_wrong"}) == ("unauthorized", 4401)
    assert refused(nobody.websocket_connect(path), {"type": "say", "text": "hi"}) == ("unauthorized", 4401)
    assert refused(nobody.websocket_connect(f"{path}?key=hl_x"), {"type": "hello"}) == ("unauthorized", 4401)


def test_another_familys_elder_is_not_there(room: Room) -> None:
    path = f"/ws/companion/{ELDER}"
    assert refused(room.house.stranger.websocket_connect(path), {"type": "hello"}) == ("elder_not_found", 4404)


def test_the_key_may_come_in_the_first_frame(room: Room) -> None:
    from fastapi.testclient import TestClient

    key = room.house.client.headers["authorization"].removeprefix("Bearer ")
    nobody = TestClient(room.house.app)
    with Talk(nobody.websocket_connect(f"/ws/companion/{ELDER}"), {"key": key}) as talk:
        assert talk.ready["type"] == "ready"


def test_one_family_cannot_hold_every_connection(room: Room) -> None:
    with room.connected():
        room.parts._connected[room.house.tenant] = 16
        path = f"/ws/companion/{ELDER}"
        assert refused(room.house.client.websocket_connect(path), {"type": "hello"}) == ("companion_busy", 4429)


# ---- the elder's own model, and none ------------------------------------------------------------------------


def test_the_elders_own_model_answers_calmly_in_the_prompt_that_it_was_trained_on(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.elder()
    house.publish()
    with Talk(house.client.websocket_connect(f"/ws/companion/{ELDER}"), {}) as talk:
        talk.say("你住过哪里？")
        *_, done = talk.until("done")
    assert (done["engine"], done["emotion"]) == ("own", "平静")
    assert done["text"] == house.engine.asked[0][-1].content.replace("\n", " ").replace("  ", " ").strip()
    assert house.engine.asked[0][0].content == "你是李小明。"


def test_the_live_talk_is_given_what_chat_is_given_and_names_exactly_that(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.elder()
    house.publish()
    chat = house.client.post("/chat", json={"elder_id": ELDER, "message": "你住过哪里？"}).json()
    memories, done = live(house, "你住过哪里？")
    assert memories["memory_ids"] == done["memory_ids"] == chat["memory_ids"] and len(chat["memory_ids"]) == 2
    shown = house.engine.asked[-1][-1].content
    assert [line.removeprefix("- ") for line in shown.splitlines() if line.startswith("- ")] == [
        memory["text"] for memory in memories["memories"]
    ]


def test_a_talk_that_had_to_drop_memories_names_only_what_was_left(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.elder()
    house.publish()
    echo = house.engine.chat

    def chat(version: ModelVersion, messages: Sequence[Message], options: ChatOptions) -> Iterator[str]:
        if messages[-1].content.count("\n- "):
            raise ContextTooLong(limit=9)
        yield from echo(version, messages, options)

    house.engine.chat = chat  # type: ignore[method-assign]
    memories, done = live(house, "你住过哪里？")
    assert memories["memory_ids"] == done["memory_ids"] == []


def test_in_doubt_the_live_talk_does_not_tell_what_the_model_does_not_think_of(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.elder()
    recalling(house, "这个我不记得了。")
    memories, done = live(house, "您去过月亮上吗")
    assert "不记得" in done["text"] and memories["memory_ids"] == done["memory_ids"] == []


def test_in_doubt_the_live_talk_is_shown_what_the_model_thinks_of_too(tmp_path: Path) -> None:
    house, question = House(tmp_path), "您去过月亮上吗"
    house.elder()
    first = house.services.retrievers.of(house.tenant, ElderId(ELDER)).find(question, 1)[0].text
    recalling(house, first)
    memories, done = live(house, question)
    assert memories["memories"][0]["text"] == first and first in done["text"]


def test_the_live_talk_tells_what_is_surely_meant_from_its_beginning(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.elder()
    house.services.versions.add(house.tenant, replace(house.publish(), number=2, begins_with=2))
    memory = surely_meant(house)
    memories, done = live(house, memory[:8])
    assert done["text"].startswith(memory[:4]) and [one["text"] for one in memories["memories"]] == [memory]
    assert house.engine.asked[-1][-1] == Message(role="assistant", content=memory[:4])


@pytest.mark.parametrize(("engine", "at_once"), [("llama_cpp", 2), ("vllm", 3)])
def test_as_many_live_talks_are_answered_at_once_as_the_settings_say_of_their_engine(
    tmp_path: Path, engine: str, at_once: int
) -> None:
    house, all_here = House(tmp_path), threading.Barrier(at_once)

    def chat(*_: object) -> Iterator[str]:
        all_here.wait(timeout=5)
        yield "好。"

    house.engine.chat = chat  # type: ignore[method-assign]
    engines = Engines({name: house.engine for name in ("llama_cpp", "vllm")}, name=engine)  # type: ignore[misc]
    object.__setattr__(house.services, "engine", engines)
    settings = house.services.settings.model_copy(update={"answers_at_once": 2, "vllm_answers_at_once": 3})
    object.__setattr__(house.services, "settings", settings)
    house.elder()
    house.services.versions.add(house.tenant, replace(house.publish(), engine=engine))
    with house.client, ExitStack() as open_:
        path = f"/ws/companion/{ELDER}"
        talks = [open_.enter_context(Talk(house.client.websocket_connect(path), {})) for _ in range(at_once)]
        for talk in talks:
            talk.say("你好")
        ended = [next(one for one in iter(talk.socket.receive_json, None) if one["type"] in OVER) for talk in talks]
    assert [frame.get("text") for frame in ended] == ["好。"] * at_once


def live(house: House, question: str) -> tuple[Frame, Frame]:
    """The frames `memories` and `done` of an answer by the elder's own model."""
    with Talk(house.client.websocket_connect(f"/ws/companion/{ELDER}"), {}) as talk:
        talk.say(question)
        frames = talk.until("done")
    return next(frame for frame in frames if frame["type"] == "memories"), frames[-1]


def test_an_elder_without_a_model_and_a_companion_that_is_off_are_typed_errors(room: Room) -> None:
    with room.connected() as talk:
        room.parts.companion = None
        talk.say("你好")
        assert talk.until("error")[-1]["code"] == "engine_unavailable"
    house = House(room.house.services.settings.data_dir / "other")
    house.elder()
    with Talk(house.client.websocket_connect(f"/ws/companion/{ELDER}"), {}) as talk:
        talk.say("你好")
        assert talk.until("error")[-1]["code"] == "model_not_found"
