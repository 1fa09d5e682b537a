"""The left brain's pipeline, as one list, and which list a job runs.

It begins as the right brain's does, and shares those artefacts. SFT only: no preference makes JSON righter.
"""

from dataclasses import asdict, replace

from kernel.adapter import ADAPTER
from kernel.extraction import Extractions, HeldOuts, collect_extractions, hold_out
from kernel.extraction_report import ExtractionReport, evaluate_extraction
from kernel.job import Brain
from kernel.left_brain import LeftBrain, is_in_place, publish_left_brain
from kernel.pipeline import PIPELINE, Queue, Stage

_RIGHT = {stage.name: stage for stage in PIPELINE}
_COMPARED = 8  #: prompts that the GGUF is compared with its weights on

LEFT_BRAIN: tuple[Stage, ...] = (
    _RIGHT["collect_memories"],
    _RIGHT["write_notes"],
    Stage(
        name="collect_extractions",
        queue=Queue.CPU,
        reads=("collect_memories", "write_notes"),
        makes=Extractions,
        run=lambda desk, memories, notes: collect_extractions(
            memories,
            notes,
            calls=desk.calls,
            reviewed=sorted(desk.golden),
            words=desk.words,
            finder=desk.finder,
            seed=desk.recipe.seed,
            max_tokens=desk.recipe.sft.max_seq_length,
            on_progress=desk.report,
        ),
        settings=lambda desk: [
            [[asdict(call.task), call.model, call.outcome, dict(call.reply.value)] for call in desk.calls],
            sorted(desk.golden),
            {language: asdict(words) for language, words in desk.words.items()},
            desk.recipe.seed,
            desk.recipe.sft.max_seq_length,
        ],
    ),
    Stage(
        name="hold_out",
        queue=Queue.CPU,
        reads=("collect_memories", "write_notes"),
        makes=HeldOuts,
        run=lambda desk, memories, notes: hold_out(
            memories,
            notes,
            calls=desk.calls,
            golden=desk.golden,
            words=desk.words,
            finder=desk.finder,
            seed=desk.recipe.seed,
        ),
        settings=lambda desk: [
            [[asdict(call.task), call.model, call.outcome, dict(call.reply.value)] for call in desk.calls],
            {memory: asdict(wanted) for memory, wanted in desk.golden.items()},
            {language: asdict(words) for language, words in desk.words.items()},
            desk.recipe.seed,
        ],
    ),
    replace(
        _RIGHT["train_sft"],
        reads=("collect_extractions",),
        run=lambda desk, extractions: _RIGHT["train_sft"].run(desk, extractions.as_samples()),
    ),
    replace(_RIGHT["merge"], reads=("train_sft",)),
    replace(
        _RIGHT["convert_gguf"],
        reads=("merge", "collect_extractions", "train_sft"),
        run=lambda desk, merged, extractions, adapter: desk.trainer.convert(
            merged,
            adapter=adapter if desk.recipe.base.storage == ADAPTER else None,
            recipe=desk.recipe,
            prompts=[one.prompt for one in extractions.taught[:_COMPARED]],
            folder=desk.folder,
            report=desk.report,
        ),
        settings=lambda desk: [desk.recipe.base.quantisation, desk.recipe.base.storage],
    ),
    Stage(
        name="evaluate_extraction",
        queue=Queue.CPU,
        reads=("convert_gguf", "hold_out"),
        makes=ExtractionReport,
        run=lambda desk, gguf, held_out: evaluate_extraction(
            held_out, left_brain=gguf, recipe=desk.recipe, trainer=desk.trainer, report=desk.report
        ),
        settings=lambda desk: desk.recipe.base.key,
    ),
    Stage(
        name="publish",
        queue=Queue.CPU,
        reads=("convert_gguf", "evaluate_extraction", "collect_extractions", "collect_memories"),
        makes=LeftBrain,
        run=lambda desk, gguf, report, extractions, memories: publish_left_brain(
            gguf, report, extractions, memories, key=desk.key, in_use=desk.left_brain, progress=desk.report
        ),
        settings=lambda desk: "",
        holds=lambda desk, published: is_in_place(published, desk.left_brain),
    ),
)

PIPELINES: dict[Brain, tuple[Stage, ...]] = {Brain.RIGHT: PIPELINE, Brain.LEFT: LEFT_BRAIN}
