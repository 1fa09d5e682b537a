"""Progress: it never goes back when a stage ends, and the ETA comes from what was measured before."""

from dataclasses import replace
from datetime import UTC, datetime

from kernel.ids import ElderId, JobId, TenantId
from kernel.job import Brain, Job, JobStatus, Step, StepState
from kernel.left_brain_pipeline import PIPELINES
from kernel.pipeline import STAGE_NAMES
from kernel.progress_tracker import TYPICAL_SECONDS, ProgressTracker, eta_words

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def _job(*steps: Step, status: JobStatus = JobStatus.TRAINING) -> Job:
    given = {step.name: step for step in steps}
    return Job(
        id=JobId("j"),
        tenant=TenantId("t"),
        elder=ElderId("e"),
        elder_name="n",
        status=status,
        force_retrain=False,
        steps=tuple(given.get(name, Step(name=name)) for name in STAGE_NAMES),
        created_at=NOON,
        updated_at=NOON,
    )


def test_every_stage_has_a_typical_time() -> None:
    for brain, stages in PIPELINES.items():
        assert list(TYPICAL_SECONDS[brain]) == [stage.name for stage in stages]


def test_percent_goes_from_0_to_99_and_100_only_when_completed() -> None:
    tracker = ProgressTracker()
    seen = []
    job = _job()
    for number in range(len(STAGE_NAMES) + 1):
        steps = [Step(name=name, state=StepState.DONE) for name in STAGE_NAMES[:number]]
        seen.append(tracker.progress(_job(*steps)).percent)
    assert seen[0] == 0 and seen == sorted(seen) and seen[-1] == 99
    assert tracker.progress(replace(job, status=JobStatus.COMPLETED)).percent == 100


def test_the_eta_uses_the_elders_last_completed_job() -> None:
    past = _job(
        *(Step(name=name, state=StepState.DONE, seconds=10.0) for name in STAGE_NAMES),
        status=JobStatus.COMPLETED,
    )
    running = Step(name="train_sft", state=StepState.RUNNING, fraction=0.5)
    before = STAGE_NAMES[: STAGE_NAMES.index("train_sft")]
    job = _job(*(Step(name=name, state=StepState.SKIPPED) for name in before), running)
    left = len(STAGE_NAMES) - len(before) - 0.5
    assert ProgressTracker([past]).progress(job).eta_seconds == left * 10


def test_the_times_of_one_brain_say_nothing_of_the_other() -> None:
    steps = [Step(name=name, state=StepState.DONE, seconds=10.0) for name in STAGE_NAMES]
    right = _job(*steps, status=JobStatus.COMPLETED)
    assert ProgressTracker([right]).whole_seconds() == 10.0 * len(STAGE_NAMES)
    assert ProgressTracker([right]).whole_seconds(Brain.LEFT) == ProgressTracker().whole_seconds(Brain.LEFT)


def test_a_first_training_takes_longer_where_more_is_told_and_a_later_one_as_long_as_the_last() -> None:
    first = ProgressTracker()
    assert first.whole_seconds(told=84) == first.whole_seconds() + TYPICAL_SECONDS[Brain.RIGHT]["train_sft"]
    steps = [Step(name=name, state=StepState.DONE, seconds=10.0) for name in STAGE_NAMES]
    known = ProgressTracker([_job(*steps, status=JobStatus.COMPLETED)])
    assert known.whole_seconds(told=84) == known.whole_seconds()


def test_a_training_step_says_epoch_loss_and_its_own_eta() -> None:
    facts = {"epoch": 2, "epochs": 3, "loss": 0.25, "tokens_per_second": 900.0, "eta_seconds": 7.0}
    steps = [Step(name=name, state=StepState.DONE) for name in STAGE_NAMES if name != "train_sft"]
    now = ProgressTracker().progress(_job(*steps, Step(name="train_sft", state=StepState.RUNNING, facts=facts)))
    assert (now.current_epoch, now.total_epochs, now.loss, now.eta_seconds) == (2, 3, 0.25, 7.0)


def test_the_eta_is_said_in_both_languages() -> None:
    assert eta_words(300, "zh") == "5分钟"
    assert eta_words(60, "en") == "1 minute"
    assert eta_words(3, "zh") == "不到1分钟"
    assert eta_words(None, "en") == ""
