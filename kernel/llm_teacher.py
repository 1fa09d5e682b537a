"""The teacher that asks a language model, and believes nothing that the memories do not hold.

A name, number or year that is in none of the memories is not kept: what holds one is written by the built-in
teacher instead. So is a note that the model refuses or garbles; the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kernel.bio import Bio
from kernel.entity_extraction import EXTRACTION, Reading, believed
from kernel.errors import TeacherGarbled, TeacherRefused
from kernel.grounding import grounded_note, text_of, texts_of, unsupported
from kernel.ids import MemoryId, digest
from kernel.language_model import Schema, Task
from kernel.note import Note
from kernel.question import Questions, fitting, fitting_needs
from kernel.sample import Message

if TYPE_CHECKING:
    from kernel.memory import Memories, Memory
    from kernel.note import Notes
    from kernel.ports import EntityFinder, LanguageModel, Teacher
    from kernel.topic import Topics

BIO_NOTES_CHARACTERS = 12_000  #: of all notes that a biography is written from
BIO_TOKENS = 1600  #: of the biography in all three persons, at most

_TEXT: Mapping[str, object] = {"type": "string"}
_TEXTS: Mapping[str, object] = {"type": "array", "items": _TEXT}
NOTE = Schema(
    name="note",
    properties={"title": _TEXT, "summary": _TEXT, "insight": _TEXT}
    | dict.fromkeys(("keywords", "people", "places", "dates"), _TEXTS),
)
QUESTIONS = Schema(name="questions", properties=dict.fromkeys(("answered", "unanswered", "needs"), _TEXTS))
TOPIC = Schema(name="topic", properties={"name": _TEXT})
BIO = Schema(name="bio", properties=dict.fromkeys(("first_person", "second_person", "third_person"), _TEXT))


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherPrompts:
    """One language's, from config/prompts/teacher/{en,zh}.yaml: what the model is told for each kind of task."""

    note: str
    topic: str
    bio: str
    questions: str
    entities: str
    judge: str


class LlmTeacher:
    """Implements kernel.ports.Teacher. `pause(seconds)` is called before each task; what it raises ends the work."""

    def __init__(
        self,
        model: LanguageModel,
        prompts: Mapping[str, TeacherPrompts],
        *,
        finder: EntityFinder,
        fallback: Teacher,
        pause: Callable[[float], None],
    ) -> None:
        """`prompts`: by language."""
        self._model, self._prompts = model, prompts
        self._finder, self._fallback, self._pause = finder, fallback, pause
        self.missed = 0

    @property
    def name(self) -> str:
        told = [
            f"{one.note}{one.topic}{one.bio}{one.questions}{one.entities}" for _, one in sorted(self._prompts.items())
        ]
        return f"{self._model.name}/{digest(*told)[:8]} over {self._fallback.name}"

    def write_note(self, memory: Memory) -> Note:
        """The model's, with what the memory does not hold left out or said by the built-in teacher."""
        plain = self._fallback.write_note(memory)
        told = self._ask(note_task(memory, self._prompts))
        if told is None:
            return plain
        return grounded_note(told, memory, otherwise=plain, teacher=self._model.name, finder=self._finder)

    def name_topic(self, notes: Sequence[Note], language: str) -> str:
        source = "\n".join(f"- {note.title}: {note.summary}" for note in notes)
        ids = tuple(note.memory_id for note in notes)
        told = self._ask(_task("topic", TOPIC, self._prompts, language, source, max_tokens=60, memory_ids=ids))
        name = text_of(told, "name")
        if not name or len(name) > 60 or unsupported(name, source, language=language, finder=self._finder):
            return self._fallback.name_topic(notes, language)
        return name

    def tell_bio(self, memories: Memories, notes: Notes, topics: Topics) -> Bio:
        plain = self._fallback.tell_bio(memories, notes, topics)
        lines = [memories.elder_name, *(f"- {note.title}: {note.summary} {note.insight}" for note in notes.items)]
        while len(lines) > 2 and sum(map(len, lines)) > BIO_NOTES_CHARACTERS:
            lines = [lines[0], *lines[1::2]]  # of a long life every second note
        source = "\n".join(lines)
        ids = tuple(note.memory_id for note in notes.items)
        task = _task("bio", BIO, self._prompts, memories.language, source, max_tokens=BIO_TOKENS, memory_ids=ids)
        told = self._ask(task)
        persons = {field: text_of(told, field) for field in BIO.properties}
        everything = source + "\n".join(memory.answer for memory in memories.items)
        if not all(persons.values()) or unsupported(
            "\n".join(persons.values()), everything, language=memories.language, finder=self._finder
        ):
            return plain
        return replace(plain, memory_ids=ids, **persons)

    def think_of_questions(self, memory: Memory) -> Questions:
        """A question that names what the memory does not hold is not one that it answers; nor is such a need one that
        it bears on."""
        told = self._ask(questions_task(memory, self._prompts))
        if told is None:
            return self._fallback.think_of_questions(memory)

        def grounded(texts: Sequence[str]) -> tuple[str, ...]:
            source, language = memory.source, memory.language
            return tuple(one for one in texts if not unsupported(one, source, language=language, finder=self._finder))

        answered = grounded(fitting(texts_of(told, "answered"), memory.language))
        near = fitting(texts_of(told, "unanswered"), memory.language)
        return Questions(
            memory_id=memory.id,
            answered=answered,
            unanswered=tuple(one for one in near if one not in answered),
            needs=grounded(fitting_needs(texts_of(told, "needs"), memory.language)),
        )

    def find_entities(self, note: Note, language: str) -> Reading:
        """Of the memory's own words; one that could not be read says so."""
        told = self._ask(entities_task(note.memory_id, note.text, language, self._prompts))
        if told is None:
            return Reading(memory_id=note.memory_id, has_failed=True)
        return believed(told, note, language=language, finder=self._finder)

    def _ask(self, task: Task) -> Mapping[str, object] | None:
        """None where the model could not."""
        self._pause(0.0)
        try:
            return self._model.reply(task, pause=self._pause).value
        except (TeacherRefused, TeacherGarbled):
            self.missed += 1
            return None


def note_task(memory: Memory, prompts: Mapping[str, TeacherPrompts]) -> Task:
    return _task("note", NOTE, prompts, memory.language, memory.source, max_tokens=400, memory_ids=(memory.id,))


def questions_task(memory: Memory, prompts: Mapping[str, TeacherPrompts]) -> Task:
    return _task(
        "questions", QUESTIONS, prompts, memory.language, memory.source, max_tokens=400, memory_ids=(memory.id,)
    )


def entities_task(memory: MemoryId, text: str, language: str, prompts: Mapping[str, TeacherPrompts]) -> Task:
    return _task("entities", EXTRACTION, prompts, language, text, max_tokens=1200, memory_ids=(memory,))


def _task(
    purpose: str,
    schema: Schema,
    prompts: Mapping[str, TeacherPrompts],
    language: str,
    source: str,
    *,
    max_tokens: int,
    memory_ids: tuple[MemoryId, ...],
) -> Task:
    told = getattr(prompts.get(language) or prompts["en"], purpose)
    messages = (Message(role="system", content=told), Message(role="user", content=source))
    return Task(purpose=purpose, messages=messages, schema=schema, max_tokens=max_tokens, memory_ids=memory_ids)
