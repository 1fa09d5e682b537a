"""A strict double of GPT-SoVITS's api_v2.py: `POST /tts`, with the refusals of its check_params.

Streaming, it sends a WAV header of no length and then samples, as the real one does; in pieces that end anywhere.
"""

import io
import json
import wave
from collections.abc import AsyncIterator
from typing import Any

import httpx

_FIELDS = {
    "text", "text_lang", "ref_audio_path", "aux_ref_audio_paths", "prompt_lang", "prompt_text", "top_k", "top_p",
    "temperature", "text_split_method", "batch_size", "batch_threshold", "split_bucket", "speed_factor",
    "fragment_interval", "seed", "media_type", "streaming_mode", "parallel_infer", "repetition_penalty", "sample_steps",
    "super_sampling", "overlap_length", "min_chunk_length",
}  # fmt: skip
_LANGUAGES = {"auto", "auto_yue", "en", "zh", "ja", "yue", "ko", "all_zh", "all_ja", "all_yue", "all_ko"}
_CUTS = {"cut0", "cut1", "cut2", "cut3", "cut4", "cut5"}


class SovitsDouble(httpx.AsyncBaseTransport):
    """`voices`: the recordings that are there. `samples` is what it speaks."""

    def __init__(self, *voices: str, samples: bytes = b"\1\0\2\0\3\0", rate: int = 32000, channels: int = 1) -> None:
        self.voices, self.samples, self.rate, self.channels = set(voices), samples, rate, channels
        self.asked: list[dict[str, Any]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if (request.method, request.url.path) != ("POST", "/tts"):
            return httpx.Response(404, json={"detail": "Not Found"})
        asked = json.loads(await request.aread())
        self.asked.append(asked)
        if refusal := self._refusal(asked):
            return httpx.Response(400, json={"message": refusal})
        return httpx.Response(200, headers={"content-type": "audio/wav"}, content=self._spoken())

    def _refusal(self, asked: dict[str, Any]) -> str:
        for name in ("ref_audio_path", "text", "text_lang", "prompt_lang"):
            if not asked.get(name):
                return f"{name} is required"
        if not {asked["text_lang"], asked["prompt_lang"]} <= _LANGUAGES:
            return "the language is not supported"
        if asked.get("media_type", "wav") not in ("wav", "raw", "ogg", "aac"):
            return "media_type is not supported"
        if asked.get("text_split_method", "cut5") not in _CUTS or not isinstance(
            asked.get("streaming_mode"), bool | int
        ):
            return "not supported"
        if asked["ref_audio_path"] not in self.voices or not set(asked) <= _FIELDS:
            return "tts failed"
        return ""

    async def _spoken(self) -> AsyncIterator[bytes]:
        head = io.BytesIO()
        with wave.open(head, "wb") as wav:
            wav.setnchannels(self.channels)
            wav.setsampwidth(2)
            wav.setframerate(self.rate)
        data = head.getvalue() + self.samples
        for at in range(0, len(data), 7):
            yield data[at : at + 7]
