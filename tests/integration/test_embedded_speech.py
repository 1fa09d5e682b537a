"""Speech for real, by the packages alone: what is spoken is heard, with feeling, in both languages."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from adapters.embedded_speech import EspeakService, PocketsphinxService
from adapters.resample import as_heard
from config.companion_config import read_companion
from kernel.speech import Sound

pytestmark = pytest.mark.integration
SETTINGS = read_companion(environ={})


def speak(text: str, *, emotion: str = "Calm", language: str = "en") -> Sound:
    async def run() -> Sound:
        stream = EspeakService().synthesize_stream(text, emotion=SETTINGS.emotion(emotion), language=language)
        sounds = [one async for one in stream]
        assert len(sounds) > 1
        return Sound(samples=b"".join(one.samples for one in sounds), rate=sounds[0].rate)

    return asyncio.run(run())


def hear(sound: Sound) -> str:
    async def pieces() -> AsyncIterator[bytes]:
        samples = bytes(9600) + as_heard(sound) + bytes(9600)
        for at in range(0, len(samples), 6400):
            yield samples[at : at + 6400]

    return asyncio.run(PocketsphinxService().transcribe_stream(pieces(), language="en"))


def test_what_is_spoken_in_english_is_heard() -> None:
    assert hear(speak("Where did you grow up?")) == "where did you grow up"


@pytest.mark.parametrize(("language", "text"), [("en", "The river rose in the night."), ("zh", "那天夜里河水涨了。")])
def test_each_language_is_spoken_and_a_feeling_is_heard_in_it(language: str, text: str) -> None:
    calm, sad, happy = (speak(text, emotion=one, language=language) for one in ("Calm", "Sad", "Happy"))
    assert calm.seconds > 0.8 and np.abs(np.frombuffer(calm.samples, "<i2").astype(int)).max() > 3000
    assert sad.seconds > calm.seconds > happy.seconds
    assert pitch(sad) < pitch(calm) < pitch(happy)


def test_silence_is_not_words() -> None:
    assert hear(Sound(samples=bytes(16000), rate=16000)) == ""


def test_an_utterance_that_nobody_waits_for_leaves_no_process() -> None:
    async def run() -> None:
        speaker = EspeakService()
        stream = speaker.synthesize_stream("word " * 2000, emotion=SETTINGS.emotions[0], language="en")
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        again = speaker.synthesize_stream("Good morning.", emotion=SETTINGS.emotions[0], language="en")
        assert [one async for one in again]

    asyncio.run(asyncio.wait_for(run(), 60))


def pitch(sound: Sound) -> float:
    """Median of the strongest periodicity between 60 and 400 Hz, over voiced windows of 40 ms."""
    samples = np.frombuffer(sound.samples, "<i2").astype(float)
    width, found = sound.rate // 25, []
    for at in range(0, len(samples) - width, width):
        window = samples[at : at + width] - samples[at : at + width].mean()
        if np.abs(window).max() < 3000:
            continue
        same = np.correlate(window, window, "full")[width - 1 :]
        low, high = sound.rate // 400, sound.rate // 60
        at_best = low + int(np.argmax(same[low:high]))
        if same[at_best] > 0.5 * same[0]:
            found.append(sound.rate / at_best)
    return float(np.median(found))
