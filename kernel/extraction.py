"""Extractions: what the left brain learns, a short instruction with what was told, and its note as JSON.

The teacher's long prompt is left out on purpose: its rules are to become the model's own. What the teacher said is
taken from the log of its calls, as far as the memory holds it; with no teacher model it is what the built-in one wrote.
Memories are split before anything else: no sentence of one that is held out is taught.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from kernel.grounding import grounded_note
from kernel.ids import MemoryId, digest
from kernel.language import sentences, weight
from kernel.language_model import Outcome, Schema, Task
from kernel.sample import Message, Sample, Samples

if TYPE_CHECKING:
    from kernel.language_model import Call
    from kernel.memory import Memories, Memory
    from kernel.note import Note, Notes
    from kernel.ports import EntityFinder

MAX_TOKENS = 512  #: of one extraction
HELD_OUT = 0.2  #: share of the memories, and of the small talk
_CHATTER = 0.3  #: of the memories, whose question is also followed by small talk instead of an answer
_LETTERS = 3.0  #: that a token stands for, at the least, in JSON and what it was made of
_TELLING = 20  #: Latin letters from which the same sentence is the same words; a Chinese character counts three

TEXTS = ("title", "summary", "insight")
LISTS = ("keywords", "people", "places", "dates")
_TEXT: Mapping[str, object] = {"type": ["string", "null"]}
_LIST: Mapping[str, object] = {"type": "array", "items": {"type": "string"}}
SCHEMA = Schema(name="extraction", properties=dict.fromkeys(TEXTS, _TEXT) | dict.fromkeys(LISTS, _LIST))


@dataclass(frozen=True, kw_only=True, slots=True)
class Extract:
    """What a note says, as JSON has it; empty as it stands here, which is the answer to small talk."""

    title: str | None = None
    summary: str | None = None
    insight: str | None = None
    keywords: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()

    def as_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractionWords:
    """One language's, from config/prompts/left_brain/{en,zh}.yaml."""

    instruction: str
    small_talk: tuple[str, ...]  #: laughter, greetings: what tells nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class Extraction:
    """One sample, in the first seed's form. Of small talk `memory_ids` is empty."""

    instruction: str
    input: str
    output: str  #: JSON of an Extract
    memory_ids: tuple[MemoryId, ...] = ()
    teacher: str = ""  #: who said it

    @property
    def prompt(self) -> tuple[Message, ...]:
        return extraction_prompt(self.instruction, self.input)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """A memory that is measured with."""

    memory_id: MemoryId
    instruction: str
    input: str
    wanted: Extract  #: as a person reviewed it; until then the teacher's, as far as the memory holds it
    is_reviewed: bool
    said: Extract | None  #: the teacher's own; None where it refused, or gave no JSON


@dataclass(frozen=True, kw_only=True, slots=True)
class Extractions:
    """What is taught."""

    taught: tuple[Extraction, ...]

    def as_samples(self) -> Samples:
        return Samples(
            items=tuple(
                Sample(
                    kind="extraction" if one.memory_ids else "small_talk",
                    prompt=one.prompt,
                    completion=one.output,
                    memory_ids=one.memory_ids,
                )
                for one in self.taught
            )
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOuts:
    """What is measured with."""

    memories: tuple[HeldOut, ...]
    small_talk: tuple[Extraction, ...]


def collect_extractions(
    memories: Memories,
    notes: Notes,
    *,
    calls: Sequence[Call],
    reviewed: Collection[MemoryId],
    words: Mapping[str, ExtractionWords],
    finder: EntityFinder,
    seed: int,
    max_tokens: int,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> Extractions:
    """Of the memories that are not held out, nor share a sentence with one that is; and of small talk.

    `calls`: the teacher's log. `reviewed`: the golden set's memories. `max_tokens`: of a sample; a longer one, which
    would teach JSON that breaks off, is left out. `on_progress(fraction)` before each memory.
    """
    plain = {note.memory_id: note for note in notes.items}
    logged = latest_notes(calls)
    apart = held_out_ids([memory.id for memory in memories.items], reviewed)
    kept_out = {line for memory in memories.items if memory.id in apart for line in _lines(memory)}
    taught: list[Extraction] = []
    for number, memory in enumerate(memories.items):
        on_progress(number / len(memories.items))
        if memory.id not in apart and not kept_out & _lines(memory):
            note = _as_held(memory, plain[memory.id], logged.get(memory.id), finder)
            taught.append(_taught(memory, note, _of(words, memory.language).instruction))
    rng = random.Random(seed)
    heard, _ = _small_talk(_of(words, memories.language), seed)
    asked = [memory for memory in memories.items if memory.id not in apart and memory.question]
    taught += [*heard, *_chatter(asked, words, heard, rng)]
    taught = [one for one in taught if weight(one.instruction + one.input + one.output) <= _LETTERS * max_tokens]
    rng.shuffle(taught)
    return Extractions(taught=tuple(taught))


def hold_out(
    memories: Memories,
    notes: Notes,
    *,
    calls: Sequence[Call],
    golden: Mapping[MemoryId, Extract],
    words: Mapping[str, ExtractionWords],
    finder: EntityFinder,
    seed: int,
) -> HeldOuts:
    """What `collect_extractions` leaves out. `golden`: what a person reviewed."""
    plain = {note.memory_id: note for note in notes.items}
    logged = latest_notes(calls)
    apart = held_out_ids([memory.id for memory in memories.items], golden)
    kept = []
    for memory in memories.items:
        if memory.id in apart:
            note = _as_held(memory, plain[memory.id], logged.get(memory.id), finder)
            kept.append(
                HeldOut(
                    memory_id=memory.id,
                    instruction=_of(words, memory.language).instruction,
                    input=memory.source,
                    wanted=golden.get(memory.id) or extract_of(note),
                    is_reviewed=memory.id in golden,
                    said=said_of(memory.id, plain, logged),
                )
            )
    _, unheard = _small_talk(_of(words, memories.language), seed)
    return HeldOuts(memories=tuple(kept), small_talk=tuple(unheard))


def held_out_ids(ids: Sequence[MemoryId], reviewed: Collection[MemoryId]) -> frozenset[MemoryId]:
    """What a person reviewed, and others up to a fifth of all, chosen by their ids alone: the same whenever asked."""
    wanted = math.ceil(HELD_OUT * len(ids))
    ranked = sorted(ids, key=lambda one: (one not in reviewed, digest(one)))
    return frozenset(ranked[: max(wanted, sum(one in reviewed for one in ids))])


def extraction_prompt(instruction: str, told: str) -> tuple[Message, ...]:
    return (Message(role="system", content=instruction), Message(role="user", content=told))


def extraction_task(memory: Memory, words: Mapping[str, ExtractionWords]) -> Task:
    return Task(
        purpose="extraction",
        messages=extraction_prompt(_of(words, memory.language).instruction, memory.source),
        schema=SCHEMA,
        max_tokens=MAX_TOKENS,
        memory_ids=(memory.id,),
    )


def read_extract(value: object) -> Extract | None:
    """None for what is not of the schema. Blanks around texts go, and an empty one is none."""
    if not isinstance(value, dict) or set(value) != {field.name for field in fields(Extract)}:
        return None
    if not all(value[name] is None or isinstance(value[name], str) for name in TEXTS):
        return None
    if not all(_is_list_of_texts(value[name]) for name in LISTS):
        return None

    def text(name: str) -> str | None:
        return (value[name] or "").strip() or None

    def items(name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(filter(None, map(str.strip, value[name]))))

    return Extract(
        title=text("title"),
        summary=text("summary"),
        insight=text("insight"),
        keywords=items("keywords"),
        people=items("people"),
        places=items("places"),
        dates=items("dates"),
    )


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def parse_extract(text: str) -> Extract | None:
    """None for what is no JSON, or another."""
    try:
        return read_extract(json.loads(text))
    except (ValueError, RecursionError):
        return None


def extract_of(note: Note) -> Extract:
    return Extract(
        title=note.title or None,
        summary=note.summary or None,
        insight=note.insight or None,
        keywords=note.keywords,
        people=note.people,
        places=note.places,
        dates=note.dates,
    )


def latest_notes(calls: Sequence[Call]) -> dict[MemoryId, Call]:
    """Of each memory the last call that asked for its note; one without a reply only where none replied."""
    found: dict[MemoryId, Call] = {}
    for call in calls:
        if call.task.purpose == "note" and len(call.task.memory_ids) == 1:
            [memory] = call.task.memory_ids
            if call.outcome is Outcome.REPLIED or memory not in found or found[memory].outcome is not Outcome.REPLIED:
                found[memory] = call
    return found


def said_of(memory: MemoryId, notes: Mapping[MemoryId, Note], logged: Mapping[MemoryId, Call]) -> Extract | None:
    """What the teacher itself said of the memory, unmended."""
    if call := logged.get(memory):
        return read_extract(dict(call.reply.value))
    return extract_of(notes[memory]) if memory in notes else None


def _taught(memory: Memory, note: Note, instruction: str) -> Extraction:
    return Extraction(
        instruction=instruction,
        input=memory.source,
        output=extract_of(note).as_json(),
        memory_ids=(memory.id,),
        teacher=note.teacher,
    )


def _as_held(memory: Memory, note: Note, call: Call | None, finder: EntityFinder) -> Note:
    """The logged reply with what the memory does not hold left out; without one, the note as it is."""
    if call is None or call.outcome is not Outcome.REPLIED:
        return note
    return grounded_note(call.reply.value, memory, otherwise=note, teacher=call.model, finder=finder)


def _small_talk(words: ExtractionWords, seed: int) -> tuple[list[Extraction], list[Extraction]]:
    """Those that are taught, and those that are held out."""
    said = list(words.small_talk)
    random.Random(seed).shuffle(said)
    nothing = Extract().as_json()
    made = [Extraction(instruction=words.instruction, input=one, output=nothing) for one in said]
    cut = math.ceil(HELD_OUT * len(made))
    return made[cut:], made[:cut]


def _chatter(
    memories: Sequence[Memory],
    words: Mapping[str, ExtractionWords],
    heard: Sequence[Extraction],
    rng: random.Random,
) -> Iterator[Extraction]:
    """A question that got no answer but laughter: what it asks for is not told."""
    nothing = Extract().as_json()
    for memory in rng.sample(list(memories), int(_CHATTER * len(memories))) if heard else ():
        told = f"{memory.question} {rng.choice(heard).input}"
        yield Extraction(instruction=_of(words, memory.language).instruction, input=told, output=nothing)


def _lines(memory: Memory) -> frozenset[str]:
    """The memory's sentences, as far as they tell something."""
    plain = (" ".join(one.casefold().split()) for one in sentences(memory.answer))
    return frozenset(one for one in plain if weight(one) >= _TELLING)


def _of(words: Mapping[str, ExtractionWords], language: str) -> ExtractionWords:
    return words.get(language) or words["en"]
