"""GPT-SoVITS: text to speech in a recorded voice, by the `/tts` of its api_v2.py.

Each emotion has a recording of that feeling on the server's machine, and the voice copies it. The reply streams: a WAV
header of no length, then samples.
"""

import struct
from collections.abc import AsyncIterator

import httpx

from kernel.companion import Emotion
from kernel.errors import SpeechUnavailable
from kernel.speech import Sound

_HEAD = 44  #: bytes of the header that it sends
_SECONDS = 30.0


class GptSovitsService:
    """Implements kernel.ports.Speaker. `voices`: the folder of the recordings, as the server names it."""

    languages = frozenset({"zh", "en"})

    def __init__(self, url: str, *, voices: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url, self._voices, self._transport = url.rstrip("/"), voices.rstrip("/"), transport

    async def synthesize_stream(self, text: str, *, emotion: Emotion, language: str) -> AsyncIterator[Sound]:
        asked = {
            "text": text,
            "text_lang": language,
            "ref_audio_path": f"{self._voices}/{emotion.voice}",
            "prompt_text": emotion.voice_text,
            "prompt_lang": emotion.voice_language,
            "text_split_method": "cut0",  # it is one sentence already
            "media_type": "wav",
            "streaming_mode": True,
        }
        try:
            async with (
                httpx.AsyncClient(timeout=_SECONDS, transport=self._transport, trust_env=False) as client,
                client.stream("POST", f"{self._url}/tts", json=asked) as reply,
            ):
                if reply.is_error:
                    raise self._unavailable(f"GPT-SoVITS refused with {reply.status_code}; is {emotion.voice} there?")
                async for sound in self._sounds(reply):
                    yield sound
        except httpx.HTTPError as error:
            raise self._unavailable("GPT-SoVITS does not answer at its address") from error

    async def _sounds(self, reply: httpx.Response) -> AsyncIterator[Sound]:
        held, rate = b"", 0
        async for some in reply.aiter_bytes():
            held += some
            if not rate:
                if len(held) < _HEAD:
                    continue
                rate, held = self._rate(held[:_HEAD]), held[_HEAD:]
            whole = len(held) // 2 * 2
            if whole:
                yield Sound(samples=held[:whole], rate=rate)
            held = held[whole:]

    def _rate(self, head: bytes) -> int:
        """Of the PCM WAV header: 16 bits, one channel."""
        riff, kind, channels, rate, bits = struct.unpack("<4s16xHHI6xH", head[:36])
        if (riff, kind, channels, bits) != (b"RIFF", 1, 1, 16):
            raise self._unavailable("GPT-SoVITS sent sound that cannot be used")
        return int(rate)

    def _unavailable(self, reason: str) -> SpeechUnavailable:
        return SpeechUnavailable(what="The voice", reason=reason)
