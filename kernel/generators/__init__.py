"""The generators (L2): each drafts one family of samples, and is known by the kinds that it drafts.

A right answer is always a memory's own words, or composed of quotations of several, or an admission of not
remembering; nothing is invented.
"""

from kernel.generators.context import ContextGenerator
from kernel.generators.dialogue import DialogueGenerator
from kernel.generators.diversity import DiversityDataGenerator
from kernel.generators.draft import Draft
from kernel.generators.memory_qa import MemoryQA
from kernel.generators.negatives import NegativeSampling
from kernel.generators.preference import PreferenceQAGenerator
from kernel.generators.self_qa import SelfQA

GENERATORS = (
    MemoryQA,
    SelfQA,
    PreferenceQAGenerator,
    DiversityDataGenerator,
    ContextGenerator,
    DialogueGenerator,
    NegativeSampling,
)
GENERATOR_OF = {kind: generator.__name__ for generator in GENERATORS for kind in generator.kinds}

__all__ = [
    "GENERATORS",
    "GENERATOR_OF",
    "ContextGenerator",
    "DialogueGenerator",
    "DiversityDataGenerator",
    "Draft",
    "MemoryQA",
    "NegativeSampling",
    "PreferenceQAGenerator",
    "SelfQA",
]
