"""Server-sent events of an async generator, which the task that read it also closes, whatever ended it.

Left to the garbage collector, a generator is closed by another task, and a place at the turnstile, which only the
task that took it can give back, is lost for good: a reader who stopped reading and then went away did that.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from fastapi.responses import StreamingResponse
from starlette.types import Send

_LINE_ENDS = str.maketrans({"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def one_line(json_text: str) -> str:
    """JSON escapes line feeds; some clients end a line at these three, too, which an answer may hold."""
    return json_text.translate(_LINE_ENDS)


class EventStream(StreamingResponse):
    """The status goes out with the first frame: what fails before it is an error like any other."""

    media_type = "text/event-stream"

    def __init__(self, frames: AsyncGenerator[str], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(frames, headers={"Cache-Control": "no-store", **(headers or {})})
        self._frames = frames

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self._frames):
            first = await anext(self._frames, "")
            self.body_iterator = _from(first, self._frames)
            await super().stream_response(send)


async def _from(first: str, rest: AsyncGenerator[str]) -> AsyncGenerator[str]:
    yield first
    async for frame in rest:
        yield frame
