"""The judge that asks a language model: which of two answers is better, in both orders.

It sees the biography, the notes of the memories that the sample came from, and what the graph holds around them.
An answer that wins in one order only has won by its position: a tie. The sample's own answer is the elder's words or
an admission, so a model that prefers the other twice makes no pair of it either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast, get_args

from kernel.errors import TeacherGarbled, TeacherRefused
from kernel.ids import digest
from kernel.judge import Reason, Verdict
from kernel.language_model import Schema, Task
from kernel.sample import Message

if TYPE_CHECKING:
    from kernel.judge import Background
    from kernel.llm_teacher import TeacherPrompts
    from kernel.ports import Judge, LanguageModel
    from kernel.sample import Sample

BIO_CHARACTERS = 800
MOST_RELATIONS = 8
JUDGEMENT = Schema(
    name="judgement",
    properties={
        "better": {"type": "string", "enum": ["first", "second", "same"]},
        "wrong": {"type": "string", "enum": list(get_args(Reason))},
    },
)


class LlmJudge:
    """Implements kernel.ports.Judge. `pause(seconds)` is called before each task; what it raises ends the work."""

    def __init__(
        self,
        model: LanguageModel,
        prompts: Mapping[str, TeacherPrompts],
        *,
        language: str,
        fallback: Judge,
        pause: Callable[[float], None],
    ) -> None:
        self._model, self._fallback, self._pause = model, fallback, pause
        self._told = (prompts.get(language) or prompts["en"]).judge

    @property
    def name(self) -> str:
        return f"{self._model.name}/{digest(self._told)[:8]} over {self._fallback.name}"

    def verdict(self, sample: Sample, rejected: str, background: Background) -> Verdict | None:
        """None for a tie. Where the model gives no judgement, the fallback's."""
        try:
            first = self._ask(sample, background, sample.completion, rejected)
            if first["better"] != "first":
                return None
            second = self._ask(sample, background, rejected, sample.completion)
        except (TeacherRefused, TeacherGarbled):
            return self._fallback.verdict(sample, rejected, background)
        if second["better"] != "second":
            return None
        reason = cast(Reason, second["wrong"])
        return Verdict(chosen_score=1.0, rejected_score=0.0, reason=reason, judge=self._model.name)

    def _ask(self, sample: Sample, background: Background, first: str, second: str) -> Mapping[str, object]:
        self._pause(0.0)
        asked = f"{_seen(sample, background)}\n\n{sample.prompt[-1].content}\n\n[first]\n{first}\n\n[second]\n{second}"
        messages = (Message(role="system", content=self._told), Message(role="user", content=asked))
        # Of any memory words may stand there: in the biography, in what was shown, in what the model said.
        anyones = tuple(note.memory_id for note in background.notes.items)
        task = Task(purpose="judge", messages=messages, schema=JUDGEMENT, max_tokens=40, memory_ids=anyones)
        return self._model.reply(task, pause=self._pause).value


def _seen(sample: Sample, background: Background) -> str:
    """What the judge is told of the life around a sample."""
    own = set(sample.memory_ids)
    notes = [note for note in background.notes.items if note.memory_id in own]
    near = background.graph.entities_of(*sample.memory_ids)
    relations = background.graph.relationships_of(*(entity.title for entity in near))[:MOST_RELATIONS]
    lines = [
        background.bio.third_person[:BIO_CHARACTERS],
        *(f"- {note.title}: {note.summary}" for note in notes),
        *(f"- {one.source} - {one.target}: {one.description}" for one in relations),
    ]
    return "\n".join(line for line in lines if line)
