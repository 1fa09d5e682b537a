"""The teacher that asks a language model keeps nothing that the memories do not hold, and is asked nothing twice."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import pytest

from config.config_loader import ConfigLoader
from config.settings import ROOT
from kernel.builtin_teacher import BuiltinTeacher
from kernel.elder import Consent, Elder
from kernel.entity_extraction import read_notes
from kernel.errors import BudgetSpent, Cancelled, ConsentMissing, TeacherGarbled, TeacherRefused, TeacherUnavailable
from kernel.ids import ElderId, JobId, TenantId
from kernel.job import Job, JobStatus
from kernel.kept_model import Budget, KeptModel
from kernel.language_model import Reply, Task
from kernel.llm_teacher import LlmTeacher
from kernel.memory import Answer, Memories, collect_memories
from kernel.note import write_notes
from kernel.progress_tracker import ProgressTracker
from kernel.question import think_of_questions
from kernel.quote import Quote, quote_training
from kernel.removal import take_back_answer
from kernel.topic import Topics
from tests.memory_store import MemoryElders, MemoryReplies, word_stores
from tests.offline import FINDER
from workers.teachers import Teachers

US, ELDER = TenantId("us"), ElderId("margaret")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
CONSENT = Consent(by="Margaret", at=NOON)
PROMPTS = ConfigLoader(ROOT / "config" / "training_config.yaml", model_dir=ROOT, environ={}).get_teacher_prompts()
BOAT = "Father's boat was the Kittiwake. Uncle Elias built her at Cley in 1934, and she was painted blue."
NOTE = {
    "title": "The Kittiwake",
    "summary": "Their father's boat, the Kittiwake, was built by Uncle Elias at Cley in 1934.",
    "insight": "",
    "keywords": ["Kittiwake", "Elias", "submarine"],
    "people": ["Elias", "Napoleon"],
    "places": ["Cley"],
    "dates": ["1934"],
}


class Model:
    """A LanguageModel that replies what `replies` says, or raises it."""

    name = "here/teacher"

    def __init__(self, replies: Callable[[Task], object]) -> None:
        self.replies = replies
        self.asked: list[Task] = []

    def reply(self, task: Task, *, pause: Callable[[float], None], begin: Callable[[], None] = lambda: None) -> Reply:
        begin()
        self.asked.append(task)
        said = self.replies(task)
        if isinstance(said, Exception):
            raise said
        assert isinstance(said, Mapping)
        return Reply(value=said, tokens_read=100, tokens_written=50)


def memories(*answers: str) -> Memories:
    told = [Answer(question="Tell me about your father's boat.", answer=answer) for answer in answers or (BOAT,)]
    return collect_memories(told, elder_name="Margaret", language="en")


def teacher(model: Model | KeptModel, pause: Callable[[float], None] = lambda seconds: None) -> LlmTeacher:
    return LlmTeacher(model, PROMPTS, finder=FINDER, fallback=BuiltinTeacher(FINDER), pause=pause)


def allow(task: Task) -> None:
    pass


def kept(
    model: Model,
    replies: MemoryReplies,
    *,
    job: str = "j1",
    may_ask: Callable[[Task], None] = allow,
    **limits: int,
) -> KeptModel:
    return KeptModel(
        model,
        replies,
        tenant=US,
        elder=ELDER,
        job=JobId(job),
        budget=Budget(**limits),
        may_ask=may_ask,
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_a_note_is_the_models_without_what_the_memory_does_not_hold() -> None:
    [note] = write_notes(memories(), teacher=teacher(Model(lambda task: NOTE))).items
    assert (note.title, note.summary) == (NOTE["title"], NOTE["summary"])
    assert (note.people, note.places, note.dates) == (("Elias",), ("Cley",), ("1934",))
    assert note.keywords == ("Kittiwake", "Elias")
    assert note.text == BOAT and note.teacher == "here/teacher"


@pytest.mark.parametrize("invented", ["She was built in 1943.", "She was built by Uncle Horace at Cley."])
def test_a_sentence_with_an_invented_name_or_year_is_not_kept(invented: str) -> None:
    [note] = write_notes(memories(), teacher=teacher(Model(lambda task: NOTE | {"summary": invented}))).items
    assert note.summary in BOAT and note.title == NOTE["title"]


@pytest.mark.parametrize("error", [TeacherRefused(purpose="note"), TeacherGarbled(reason="an empty reply")])
def test_a_note_that_the_model_cannot_write_is_written_by_the_built_in_teacher(error: Exception) -> None:
    model = Model(lambda task: error if "Kittiwake" in task.messages[-1].content else NOTE | {"title": "A song"})
    asked = teacher(model)
    notes = write_notes(memories(BOAT, "We sang a song."), teacher=asked).items
    assert [note.teacher for note in notes] == ["builtin/1", "here/teacher"] and asked.missed == 1
    assert notes[0] == BuiltinTeacher(FINDER).write_note(memories(BOAT).items[0])


def test_a_model_that_is_not_there_ends_the_stage_and_what_it_replied_is_kept() -> None:
    replies = MemoryReplies()
    model = Model(lambda task: NOTE if len(model.asked) == 1 else TeacherUnavailable(reason="it failed (HTTP 500)"))
    told = memories(BOAT, "We sang a song.")
    with pytest.raises(TeacherUnavailable):
        write_notes(told, teacher=teacher(kept(model, replies)))
    model.replies = lambda task: NOTE | {"title": "A song"}
    write_notes(told, teacher=teacher(kept(model, replies)))
    assert len(model.asked) == 3, "the first memory is not asked about again"


def test_nothing_changed_costs_no_call_and_one_memory_changed_costs_one() -> None:
    replies, model = MemoryReplies(), Model(lambda task: NOTE)
    songs = [f"In {year} we sang." for year in range(1950, 1960)]
    first = write_notes(memories(BOAT, *songs), teacher=teacher(kept(model, replies)))
    again = write_notes(memories(BOAT, *songs), teacher=teacher(kept(model, replies, job="j2")))
    assert again == first and len(model.asked) == 11
    write_notes(memories(BOAT, *songs[:-1], "In 1960 we sang."), teacher=teacher(kept(model, replies, job="j3")))
    assert len(model.asked) == 12
    assert replies.spent(US, JobId("j2")).calls == 0


@pytest.mark.parametrize("limit", [{"calls": 2}, {"tokens": 300}])
def test_a_job_spends_no_more_than_it_may_and_nothing_is_lost(limit: dict[str, int]) -> None:
    replies, model = MemoryReplies(), Model(lambda task: NOTE)
    told = memories(BOAT, "In 1950 we sang.", "In 1951 we sang.")
    with pytest.raises(BudgetSpent) as raised:
        write_notes(told, teacher=teacher(kept(model, replies, **limit)))
    assert len(model.asked) == 2 and "HEIRLOOM_TEACHER_MAX" in str(raised.value)
    write_notes(told, teacher=teacher(kept(model, replies, job="j2", **limit)))
    assert len(model.asked) == 3


def test_a_cancel_is_heard_before_each_task() -> None:
    heard: list[float] = []

    def pause(seconds: float) -> None:
        heard.append(seconds)
        if len(heard) == 2:
            raise Cancelled

    model = Model(lambda task: NOTE)
    with pytest.raises(Cancelled):
        write_notes(memories(BOAT, "In 1950 we sang.", "In 1951 we sang."), teacher=teacher(model, pause))
    assert len(model.asked) == 1


def test_a_topic_keeps_the_models_name_unless_it_is_invented() -> None:
    notes = write_notes(memories(), teacher=BuiltinTeacher(FINDER)).items
    assert teacher(Model(lambda task: {"name": "Father's boat"})).name_topic(notes, "en") == "Father's boat"
    plain = BuiltinTeacher(FINDER).name_topic(notes, "en")
    for said in ("The voyage to Valparaiso in 1888", "", "long " * 20):
        assert teacher(Model(lambda task, said=said: {"name": said})).name_topic(notes, "en") == plain


def test_a_biography_with_anything_invented_is_the_elders_own_words_instead() -> None:
    told = memories()
    notes = write_notes(told, teacher=BuiltinTeacher(FINDER))
    topics = Topics(items=(), shades=())
    said = dict.fromkeys(("first_person", "second_person", "third_person"), "The Kittiwake was built at Cley in 1934.")
    assert teacher(Model(lambda task: said)).tell_bio(told, notes, topics).third_person == said["third_person"]
    plain = BuiltinTeacher(FINDER).tell_bio(told, notes, topics)
    invented = said | {"third_person": "Born in 1888, she sailed to Valparaiso."}
    assert teacher(Model(lambda task: invented)).tell_bio(told, notes, topics) == plain


def test_a_question_is_kept_only_where_the_memory_may_answer_it() -> None:
    said = {
        "answered": [
            "Who built your dad's boat?",
            "Who built your dad's boat?",
            "Did Horace build it?",
            "What was she called? And when?",
            "你爸爸的船叫什么？",
            "Tell me.",
        ],
        "unanswered": ["What did your mother do?", "Who built your dad's boat?"],
        "needs": ["I want to paint his boat. Which colour is right?", "I sail with Horace. What do I need?", "Boat?"],
    }
    [found] = think_of_questions(memories(), teacher=teacher(Model(lambda task: said)))
    assert found.answered == ("Who built your dad's boat?",)
    assert found.unanswered == ("What did your mother do?",)
    assert found.needs == ("I want to paint his boat. Which colour is right?",)


def test_the_built_in_teacher_and_a_model_that_cannot_leave_questions_to_the_phrasing() -> None:
    for one in (BuiltinTeacher(FINDER), teacher(Model(lambda task: TeacherGarbled(reason="an empty reply")))):
        [found] = think_of_questions(memories(), teacher=one)
        assert (found.answered, found.unanswered, found.needs) == ((), (), ())


def test_another_prompt_or_model_is_another_teacher() -> None:
    one = teacher(Model(lambda task: NOTE))
    other = LlmTeacher(
        Model(lambda task: NOTE), {"en": PROMPTS["zh"]}, finder=FINDER, fallback=BuiltinTeacher(FINDER), pause=print
    )
    assert one.name != other.name and "here/teacher" in one.name


def test_the_quote_counts_what_is_still_to_ask() -> None:
    replies, model = MemoryReplies(), Model(lambda task: NOTE)
    songs = [f"In {year} we sang." for year in range(1950, 1959)]

    def quoted(told: Memories, name: str = model.name) -> Quote:
        return quote_training(
            told,
            model=name,
            prompts=PROMPTS,
            replies=replies,
            tenant=US,
            elder=ELDER,
            tracker=ProgressTracker(),
            max_pairs=6,
        )

    before = quoted(memories(BOAT, *songs))
    assert before.calls == 10 + 10 + 10 + 2 + 1 + 16 and before.tokens > 10 * 150
    write_notes(memories(BOAT, *songs), teacher=teacher(kept(model, replies)))
    assert quoted(memories(BOAT, *songs)).calls == 10 + 10 + 2 + 1 + 16, "the notes are asked"
    told = memories(BOAT, *songs)
    model.replies = lambda task: {"answered": [], "unanswered": [], "needs": []}
    think_of_questions(told, teacher=teacher(kept(model, replies)))
    notes = write_notes(told, teacher=BuiltinTeacher(FINDER))
    model.replies = lambda task: {"entities": [], "relationships": []}
    read_notes(notes, teacher=teacher(kept(model, replies)))
    model.replies = lambda task: dict.fromkeys(("first_person", "second_person", "third_person"), "They sang.")
    teacher(kept(model, replies)).tell_bio(told, notes, Topics(items=(), shades=()))
    after = quoted(told)
    assert (after.calls, after.tokens) == (0, 0)
    assert quoted(memories(BOAT, *songs, "In 1960 we danced.")).calls == 3 + 2 + 1 + 16
    assert quoted(memories(BOAT, *songs), name="").calls == 0
    assert 0 < after.seconds < before.seconds


def test_writing_notes_says_how_far_it_is() -> None:
    said: list[float] = []
    write_notes(memories(BOAT, "In 1950 we sang."), teacher=teacher(Model(lambda task: NOTE)), on_progress=said.append)
    assert said == [0.0, 0.5]


@pytest.mark.parametrize("error", [TeacherRefused(purpose="note"), TeacherGarbled(reason="an empty reply")])
def test_what_could_not_be_replied_is_paid_for_and_not_asked_again_by_the_same_job(error: Exception) -> None:
    replies, model = MemoryReplies(), Model(lambda task: error)
    for _ in range(2):
        [note] = write_notes(memories(), teacher=teacher(kept(model, replies))).items
        assert note.teacher == "builtin/1"
    assert len(model.asked) == 1 and replies.spent(US, JobId("j1")).calls == 1
    model.replies = lambda task: NOTE
    [note] = write_notes(memories(), teacher=teacher(kept(model, replies, job="j2"))).items
    assert note.teacher == "here/teacher" and len(model.asked) == 2


def test_each_attempt_counts_against_the_budget() -> None:
    class Trying(Model):
        def reply(
            self, task: Task, *, pause: Callable[[float], None], begin: Callable[[], None] = lambda: None
        ) -> Reply:
            for _ in range(9):
                pause(1.0)  # for its pace: no attempt
                begin()
                self.asked.append(task)
            raise TeacherGarbled(reason="an empty reply")

    model = Trying(lambda task: NOTE)
    with pytest.raises(BudgetSpent):
        write_notes(memories(), teacher=teacher(kept(model, MemoryReplies(), calls=3)))
    assert len(model.asked) == 3


def test_words_taken_back_and_consent_withdrawn_in_the_middle_end_the_asking() -> None:
    told, answers = memories(BOAT, "In 1950 we sang."), MemoryElders()
    answers.add(US, Elder(id=ELDER, name="M", language="en", base_model="", created_at=NOON, consent=CONSENT))
    answers.add_answers(US, ELDER, [Answer(question=one.question, answer=one.answer) for one in told.items])
    replies, model = MemoryReplies(), Model(lambda task: NOTE)
    teachers = Teachers(
        elders=answers,
        builtin=BuiltinTeacher(FINDER),
        finder=FINDER,
        model=model,
        is_remote=True,
        prompts=PROMPTS,
        replies=replies,
        budget=Budget(),
        clock=lambda: NOON,
        words={},
        left_brain=None,
    )
    job = Job(
        id=JobId("j"),
        tenant=US,
        elder=ELDER,
        elder_name="M",
        status=JobStatus.TRAINING,
        force_retrain=False,
        steps=(),
        created_at=NOON,
        updated_at=NOON,
    )

    def take_back(task: Task) -> object:
        """While the model thinks about the first."""
        for one in answers.answers(US, ELDER):
            if one.answer == BOAT:
                take_back_answer(US, ELDER, one.id, words=word_stores(elders=answers, replies=replies))
        return NOTE

    model.replies = take_back
    notes = write_notes(told, teacher=teachers.of(job, lambda seconds: None)[0]).items
    assert [note.teacher for note in notes] == ["builtin/1", "here/teacher"]
    model.replies = lambda task: NOTE
    assert not [call for call in replies.calls(US, ELDER) if told.items[0].id in call.task.memory_ids]
    answers.set_consent(US, ELDER, None)
    asked = len(model.asked)
    with pytest.raises(ConsentMissing):
        write_notes(memories("In 1950 we sang, and danced."), teacher=teachers.of(job, lambda seconds: None)[0])
    assert len(model.asked) == asked
