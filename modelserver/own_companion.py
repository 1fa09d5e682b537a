"""The companion by the elder's own model: whatever engine serves it, in the form of prompt that it was trained on.

It was not taught to tag its feelings, so it speaks calmly; and it needs no GPU and no process of its own.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing

from fastapi.concurrency import run_in_threadpool

from kernel.companion import Asked, CompanionSettings, Given, Place
from kernel.fair_queue import FairQueue
from kernel.ports import ChatOptions
from modelserver import answering
from modelserver.services import Services


class OwnCompanion:
    """Implements kernel.ports.Companion."""

    name = "own"

    def __init__(self, services: Services, settings: CompanionSettings) -> None:
        self._services, self._settings = services, settings
        self._queues: dict[str, FairQueue] = {}  #: by the engine

    async def answer(self, asked: Asked) -> AsyncIterator[Place | Given | str]:
        under_way = answering.Answering(await run_in_threadpool(self._prepared, asked))
        async with self._queue(under_way.asked.version.engine).joined(asked.tenant) as places:
            async for place in places:
                yield Place(place=place)
            async with aclosing(answering.spoken(self._services, asked.tenant, under_way)) as pieces:
                piece = await anext(pieces, None)
                asked_last = under_way.asked
                yield Given(
                    memories=asked_last.memories, model=asked_last.version.tag, is_refused=bool(asked_last.refusal)
                )
                while piece is not None:
                    yield piece
                    piece = await anext(pieces, None)

    def _queue(self, engine: str) -> FairQueue:
        at_once = self._services.settings.answers_at_once_of(engine)
        return self._queues.setdefault(engine, FairQueue(at_once=at_once))

    def _prepared(self, asked: Asked) -> answering.Asked:
        """Greedy, as every chat with a small model is: it says what it remembers, and nothing livelier."""
        services, settings = self._services, self._settings
        version = services.versions.active(asked.tenant, asked.elder)
        question = answering.Question(
            text=asked.user_input,
            history=asked.history[-2 * settings.max_history_rounds :],
            found=asked.found,
            told=services.retrievers.of(asked.tenant, asked.elder).memories,
            options=ChatOptions(temperature=0.0, max_tokens=settings.profile(asked.profile).max_new_tokens),
        )
        return answering.asked_of(services, version, question)
