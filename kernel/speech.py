"""Speech: sound as samples, WAV files, and an answer cut into what is said in one breath."""

import io
import re
import wave
from collections.abc import Iterator
from dataclasses import dataclass

from kernel.emotion import Felt
from kernel.errors import BadAudio

HEARD_RATE = 16_000  #: samples a second that every recogniser here reads
_LONGEST_BREATH = 120  #: characters
_STOP = re.compile(r"[。！？；!?;\n]+[”’」』\"')）】]*|\.(?=\s)[”’\"')]*")
_PAUSE = re.compile(r"[，、,：:]|\s")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sound:
    """One channel of 16-bit little-endian samples."""

    samples: bytes
    rate: int  #: samples a second

    @property
    def seconds(self) -> float:
        return len(self.samples) / 2 / self.rate


def read_wav(file: bytes) -> Sound:
    """The first channel of a 16-bit PCM WAV. Raises BadAudio for anything else."""
    try:
        with wave.open(io.BytesIO(file)) as wav:
            channels, width, rate = wav.getnchannels(), wav.getsampwidth(), wav.getframerate()
            frames = wav.readframes(wav.getnframes())
    except (wave.Error, EOFError, ValueError, OverflowError) as error:
        raise BadAudio(reason="it is not a WAV file") from error
    if width != 2 or not 4_000 <= rate <= 192_000 or channels < 1:
        raise BadAudio(reason="it must be 16-bit PCM of 4 to 192 kHz")
    step = 2 * channels
    if len(frames) < step:
        raise BadAudio(reason="it holds no sound")
    whole = frames[: len(frames) // step * step]
    if channels > 1:
        whole = memoryview(whole).cast("h")[::channels].tobytes()
    return Sound(samples=whole, rate=rate)


def write_wav(sound: Sound) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(sound.rate)
        wav.writeframes(sound.samples)
    return file.getvalue()


class Breaths:
    """Cuts an answer under way into sentences, so that the first is spoken while the next is being thought of."""

    def __init__(self) -> None:
        self._held = ""
        self._emotion = ""

    def feed(self, felt: Felt) -> Iterator[Felt]:
        """A sentence never holds two emotions."""
        if felt.emotion != self._emotion:
            yield from self.end()
            self._emotion = felt.emotion
        self._held += felt.text
        while at := _end_of_breath(self._held):
            breath, self._held = self._held[:at], self._held[at:]
            yield from self._spoken(breath)

    def end(self) -> Iterator[Felt]:
        held, self._held = self._held, ""
        yield from self._spoken(held)

    def _spoken(self, text: str) -> Iterator[Felt]:
        if any(character.isalnum() for character in text):
            yield Felt(emotion=self._emotion, text=text.strip())


def _end_of_breath(text: str) -> int:
    """Where the first sentence of `text` ends; 0 while it is not over. A full stop is one when a blank follows."""
    if match := _STOP.search(text):
        return match.end()
    if len(text) <= _LONGEST_BREATH:
        return 0
    pauses = [match.end() for match in _PAUSE.finditer(text, 0, _LONGEST_BREATH)]
    return pauses[-1] if pauses else _LONGEST_BREATH
