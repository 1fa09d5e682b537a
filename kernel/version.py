"""Model versions: what an elder's model was and is. The one before stays for rollback."""

from dataclasses import dataclass
from datetime import datetime

from kernel.adapter import MERGED, Storage
from kernel.evaluation import ArmScore
from kernel.ids import ElderId, JobId, MemoryId, ModelName, TenantId


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelVersion:
    tenant: TenantId
    elder: ElderId
    number: int  #: 1, 2, 3 ... within the elder
    name: ModelName  #: "afs_elder_…"; with Ollama the model is `{name}:v{number}`
    key: str  #: the publish artefact's key: the same inputs are the same version
    job: JobId
    engine: str  #: that it was registered with, and that answers: "llama_cpp", "ollama" or "vllm"
    base: str
    quantisation: str
    storage: Storage = MERGED
    size_bytes: int  #: its own, without the base that an adapter shares
    gguf_sha256: str
    system_prompt: str
    language: str
    memories_digest: str
    memory_ids: tuple[MemoryId, ...] = ()  #: what it was trained on
    arms: tuple[ArmScore, ...]
    questions: str = ""  #: a digest of those that the arms were asked
    answerable: int = 0  #: of those, how many a memory answers; 0 and 0: not counted, of before it was kept
    unanswerable: int = 0
    created_at: datetime
    is_active: bool
    begins_with: int = 0  #: as in the recipe; 0 where the engine cannot continue an answer
    recalls_first: bool = False  #: as in the recipe
    is_retired: bool = False  #: may not be used any more, and goes as soon as the engine lets it

    @property
    def tag(self) -> str:
        return f"{self.name}:v{self.number}"
