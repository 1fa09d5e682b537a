"""The teacher that has retired: an elder's own left brain writes the notes, in process and without the long prompt.

It is believed as far as any teacher: what the memory does not hold is not kept. Topics, biography, entities and
questions are the built-in teacher's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from kernel.errors import TeacherGarbled, TeacherRefused
from kernel.extraction import ExtractionWords, extraction_task
from kernel.grounding import grounded_note

if TYPE_CHECKING:
    from kernel.bio import Bio
    from kernel.entity_extraction import Reading
    from kernel.memory import Memories, Memory
    from kernel.note import Note, Notes
    from kernel.ports import EntityFinder, LanguageModel, Teacher
    from kernel.question import Questions
    from kernel.topic import Topics


class LeftBrainTeacher:
    """Implements kernel.ports.Teacher. `pause(seconds)` is called before each note; what it raises ends the work."""

    def __init__(
        self,
        model: LanguageModel,
        words: Mapping[str, ExtractionWords],
        *,
        finder: EntityFinder,
        fallback: Teacher,
        pause: Callable[[float], None],
    ) -> None:
        """`words`: by language."""
        self._model, self._words = model, words
        self._finder, self._fallback, self._pause = finder, fallback, pause
        self.missed = 0

    @property
    def name(self) -> str:
        told = {language: one.instruction for language, one in sorted(self._words.items())}
        return f"left brain {self._model.name} {told} over {self._fallback.name}"

    def write_note(self, memory: Memory) -> Note:
        plain = self._fallback.write_note(memory)
        self._pause(0.0)
        try:
            told = self._model.reply(extraction_task(memory, self._words), pause=self._pause).value
        except (TeacherRefused, TeacherGarbled):
            self.missed += 1
            return plain
        return grounded_note(told, memory, otherwise=plain, teacher=self._model.name, finder=self._finder)

    def find_entities(self, note: Note, language: str) -> Reading:
        return self._fallback.find_entities(note, language)

    def name_topic(self, notes: Sequence[Note], language: str) -> str:
        return self._fallback.name_topic(notes, language)

    def tell_bio(self, memories: Memories, notes: Notes, topics: Topics) -> Bio:
        return self._fallback.tell_bio(memories, notes, topics)

    def think_of_questions(self, memory: Memory) -> Questions:
        return self._fallback.think_of_questions(memory)
