"""Speech by servers: FunASR hears and GPT-SoVITS speaks, against strict doubles of both."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from adapters.funasr import FunASRService
from adapters.gpt_sovits import GptSovitsService
from config.companion_config import read_companion
from kernel.errors import SpeechUnavailable
from kernel.speech import Sound
from tests.funasr_double import FunasrDouble
from tests.sovits_double import SovitsDouble

SETTINGS = read_companion(environ={})


async def sound(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def heard(double: FunasrDouble, *pieces: bytes, language: str = "zh") -> str:
    async def run() -> str:
        async with double.running() as url:
            listener = FunASRService(url, silent_seconds=0.2, quiet_seconds=0.1)
            return await listener.transcribe_stream(sound(*pieces), language=language)

    return asyncio.run(run())


def spoken(double: httpx.AsyncBaseTransport, emotion: str = "开心", text: str = "你好！") -> list[Sound]:
    async def run() -> list[Sound]:
        speaker = GptSovitsService("http://voice:9880/", voices="static/", transport=double)
        stream = speaker.synthesize_stream(text, emotion=SETTINGS.emotion(emotion), language="zh")
        return [piece async for piece in stream]

    return asyncio.run(run())


@pytest.mark.parametrize("ends", [False, True])
def test_whole_sentences_are_heard_and_not_what_was_heard_in_passing(ends: bool) -> None:
    double = FunasrDouble(["你好，", "你住在哪里？"], ends=ends)
    assert heard(double, b"\1\0" * 4000, b"\2\0" * 4001) == "你好，你住在哪里？"
    assert double.sound == b"\1\0" * 4000 + b"\2\0" * 4001
    assert (double.pieces, double.mode) == (9, "2pass")  # 60 ms each


def test_english_sentences_are_kept_apart() -> None:
    assert heard(FunasrDouble(["hello", "where?"]), b"\0\0" * 2000, language="en") == "hello where?"


def test_silence_gets_no_reply_and_is_not_waited_for_for_ever() -> None:
    assert heard(FunasrDouble([]), b"\0\0" * 4000) == ""


def test_a_recogniser_that_is_down_or_garbles_is_a_typed_error() -> None:
    with pytest.raises(SpeechUnavailable):
        heard(FunasrDouble(["x"], garbled=True), b"\0\0" * 2000)
    with pytest.raises(SpeechUnavailable):
        asyncio.run(FunASRService("ws://127.0.0.1:9").transcribe_stream(sound(b"\0\0"), language="zh"))
    with pytest.raises(SpeechUnavailable):
        asyncio.run(FunASRService("not a url").transcribe_stream(sound(b"\0\0"), language="zh"))


@pytest.mark.parametrize(
    ("emotion", "voice"),
    [
        ("开心", "happy.wav"),
        ("Angry", "angry.wav"),
        ("悲伤", "sad.wav"),
        ("惊讶", "surprised.wav"),
        ("撒娇", "coquettish.wav"),
        ("平静", "calm.wav"),
        ("never heard of", "calm.wav"),
    ],
)
def test_each_emotion_speaks_in_its_recorded_voice(emotion: str, voice: str) -> None:
    double = SovitsDouble(f"static/{voice}", samples=b"\1\0" * 100)
    sounds = spoken(double, emotion)
    assert b"".join(one.samples for one in sounds) == b"\1\0" * 100
    assert {one.rate for one in sounds} == {32000}
    assert (double.asked[0]["text"], double.asked[0]["text_lang"]) == ("你好！", "zh")


def test_a_voice_that_is_missing_down_or_of_another_form_is_a_typed_error() -> None:
    def down(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    for double in (
        SovitsDouble("static/other.wav"),
        httpx.MockTransport(down),
        SovitsDouble("static/happy.wav", channels=2),
    ):
        with pytest.raises(SpeechUnavailable):
            spoken(double)


def test_the_double_refuses_what_the_real_one_refuses() -> None:
    double = SovitsDouble("static/happy.wav")
    with pytest.raises(SpeechUnavailable):
        spoken(double, text="")
