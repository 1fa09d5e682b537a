"""Publication: the checked GGUF becomes the version that the family talks with, when it is no worse (see gate).

The engine gets the model and answers one question before the elder's active version switches; until then,
and if anything fails, the version before goes on answering. A version is listed before the engine gets it: what
an engine holds is always listed, so that deleting the elder finds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.errors import EngineNotConfigured, EngineUnavailable, ModelNotFound, VersionInUse, VersionNotFound
from kernel.gate import Shortfall, regressed, shortfall, worse_than_base
from kernel.ids import ElderId, JobId, TenantId, file_digest, model_name
from kernel.memory import Memories, memories_digest
from kernel.ports import ChatOptions
from kernel.prompt import Prompts, chat_prompt, system_prompt
from kernel.version import ModelVersion

if TYPE_CHECKING:
    from kernel.adapter import Adapter, Gguf
    from kernel.evaluation import Report
    from kernel.job import Fact
    from kernel.ports import Clock, Engine, Versions
    from kernel.ports import Report as Progress


_REGISTERING = 0.1  #: of the stage done while the engine gets the model


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """Which version it became, or which was kept."""

    number: int
    tag: str
    shortfall: Shortfall | None = None  #: why the version before was kept
    regressed: tuple[str, ...] = ()  #: of what the family praised or corrected, the questions it answers wrongly


def publish(
    gguf: Gguf,
    report: Report,
    memories: Memories,
    adapter: Adapter,
    *,
    tenant: TenantId,
    elder: ElderId,
    job: JobId,
    key: str,
    prompts: dict[str, Prompts],
    engine: Engine,
    versions: Versions,
    clock: Clock,
    progress: Progress,
    kept: int = 1,
    begins_with: int = 0,
    recalls_first: bool = False,
) -> Publication:
    """Register with the engine, ask one question, switch; the same key again is the same version.

    Of those before it `kept` stay, the one in use until now first and then the newest; the others go.
    """
    listed = versions.of_elder(tenant, elder)
    earlier = [one for one in listed if not one.is_retired]
    version = next((one for one in earlier if one.key == key), None)
    in_use = next((one for one in earlier if one.is_active), None)
    worse = shortfall(report, in_use, memories) if in_use and version is None and engine.has(in_use) else None
    also = _also_told(report)
    if in_use and worse:
        progress(1.0, kept=worse.measure, against=worse.against, got=worse.got, wanted=worse.wanted, **also)
        return Publication(number=in_use.number, tag=in_use.tag, shortfall=worse, regressed=regressed(report))
    if version is None:
        version = ModelVersion(
            tenant=tenant,
            elder=elder,
            number=max((one.number for one in listed), default=0) + 1,
            name=model_name(tenant, elder),
            key=key,
            job=job,
            engine=engine.name,
            base=gguf.base,
            quantisation=gguf.quantisation,
            storage=gguf.storage,
            size_bytes=gguf.path.stat().st_size,
            gguf_sha256=file_digest(gguf.path),
            system_prompt=system_prompt(prompts[memories.language], memories.elder_name),
            language=memories.language,
            memories_digest=memories_digest(memories),
            memory_ids=tuple(memory.id for memory in memories.items),
            arms=report.arms,
            questions=report.questions,
            answerable=report.answerable,
            unanswerable=report.unanswerable,
            created_at=clock(),
            is_active=False,
            begins_with=begins_with,
            recalls_first=recalls_first,
        )
        versions.add(tenant, version)
    engine.register(
        version, gguf.path, adapter=adapter.folder, say=lambda status: progress(_REGISTERING, engine=status)
    )
    _ask_one_question(version, memories, prompts[memories.language], engine)
    engine.activate(version)
    versions.activate(tenant, elder, version.number)
    before = sorted((one for one in earlier if one.number != version.number), key=lambda one: not one.is_active)
    gone = [one for one in listed if one.is_retired]
    forget_versions([*before[kept:], *gone], tenant=tenant, engine=engine, versions=versions)
    for poorer in worse_than_base(report)[:1]:
        also |= {"worse_than_base": poorer.measure, "got": poorer.got, "wanted": poorer.wanted}
    progress(1.0, **also)
    return Publication(number=version.number, tag=version.tag, regressed=regressed(report))


def is_published(
    publication: Publication, *, tenant: TenantId, elder: ElderId, versions: Versions, engine: Engine
) -> bool:
    """Whether that version is the one in use, and the engine still has it."""
    try:
        active = versions.active(tenant, elder)
    except ModelNotFound:
        return False
    return active.number == publication.number and engine.has(active)


def forget_versions(old: Sequence[ModelVersion], *, tenant: TenantId, engine: Engine, versions: Versions) -> None:
    """What they are answering is answered to its end. From the engine first: what it does not let go now stays
    listed as retired, and goes after the next publication. One that was put to use meanwhile stays."""
    for version in old:
        try:
            versions.retire(tenant, version.elder, version.number)
            engine.delete(version, at_once=False)
        except (EngineUnavailable, EngineNotConfigured, VersionInUse, VersionNotFound):
            continue
        versions.remove(tenant, version.elder, version.number)


def _also_told(report: Report) -> dict[str, Fact]:
    """What decides nothing."""
    told: dict[str, Fact] = {} if report.is_familys else {"split_off": report.answerable + report.unanswerable}
    if report.regressions:
        told |= {"regressions": len(report.regressions), "regressed": len(regressed(report))}
    for arm in report.arms:
        if arm.ability is not None:
            told[f"ability_{arm.arm}"] = arm.ability
    return told


def _ask_one_question(version: ModelVersion, memories: Memories, prompts: Prompts, engine: Engine) -> None:
    """A model that says nothing to a memory's own question is not put before the family."""
    memory = memories.items[0]
    messages = chat_prompt(prompts, system=version.system_prompt, question=memory.question, memories=[memory])
    answer = "".join(engine.chat(version, messages, ChatOptions(temperature=0.0, max_tokens=32)))
    if not answer.strip():
        raise EngineUnavailable(engine=engine.name, reason="the new model answered nothing")
