"""The GraphRAG program: notes in, an entity graph out. `python -m adapters.graphrag_program REQUEST RESULT`.

A process of its own, because GraphRAG patches asyncio when it is imported. It runs GraphRAG 3.3's pipeline
with one workflow of our own in the place of the LLM's extraction: mentions from the offline finder, related
when they stand in one sentence, or, names only, in one memory. GraphRAG counts degrees and finds the Leiden
communities. Its ids are new at each run and are left behind: titles are the keys.
"""

from __future__ import annotations

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else litellm fetches a file from the web when imported

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.program import Say, program_main
from kernel.graph import EntityType
from kernel.language import sentences

if TYPE_CHECKING:
    import pandas as pd

    from kernel.ports import EntityFinder

WORKFLOWS = [
    "create_base_text_units",
    "create_final_documents",
    "extract_graph_local",
    "finalize_graph",
    "create_communities",
    "create_final_text_units",
]
CHUNK_TOKENS = 8000  #: longer than any memory: one note, one text unit
LONGEST_DESCRIPTION = 300  #: characters
_RELATIVES = frozenset(
    "MOTHER FATHER GRANDMOTHER GRANDFATHER BROTHER SISTER HUSBAND WIFE SON DAUGHTER AUNT UNCLE COUSIN".split()
)
EXTRACTED = 0.7  #: share of the work that is done when the mentions are found


@dataclass(kw_only=True)
class Node:
    """An entity while it is gathered."""

    types: Counter[str] = field(default_factory=Counter)  #: what its mentions said
    description: str = ""
    memory_ids: set[str] = field(default_factory=set)


@dataclass(kw_only=True)
class Edge:
    weight: float = 0.0
    description: str = ""
    memory_ids: set[str] = field(default_factory=set)


@dataclass(kw_only=True)
class Extraction:
    nodes: dict[str, Node] = field(default_factory=lambda: defaultdict(Node))
    edges: dict[tuple[str, str], Edge] = field(default_factory=lambda: defaultdict(Edge))
    failed: list[str] = field(default_factory=list)


def run(request: dict[str, Any], say: Say) -> dict[str, Any]:
    """Request: {language, notes: [{memory_id, text}], folder}. Result: the graph's lists, as plain values."""
    from adapters.entity_finder import OfflineEntityFinder

    extraction = extract(request["notes"], request["language"], OfflineEntityFinder(), say)
    communities: list[dict[str, Any]] = []
    if extraction.edges:  # GraphRAG raises on a graph without any
        tables = asyncio.run(build(request["notes"], extraction, Path(request["folder"])))
        communities = _communities(*tables, extraction)
    return {**_as_lists(extraction), "communities": communities, "failed": sorted(extraction.failed)}


def extract(notes: Sequence[dict[str, str]], language: str, finder: EntityFinder, say: Say) -> Extraction:
    """Mentions of every note, gathered by upper-cased title. A note that fails is noted, and passed over."""
    found: list[tuple[str, str, list[tuple[str, str]]]] = []
    failed = []
    for number, note in enumerate(notes, 1):
        try:
            for sentence in sentences(note["text"]):
                mentions = finder.find(sentence, language)
                keys = [(" ".join(mention.title.upper().split()), mention.type.value) for mention in mentions]
                found.append((note["memory_id"], sentence, keys))
        except Exception:
            failed.append(note["memory_id"])
        say(EXTRACTED * number / len(notes), notes=number)
    return _gather([one for one in found if one[0] not in failed], failed)


def _gather(found: Sequence[tuple[str, str, list[tuple[str, str]]]], failed: list[str]) -> Extraction:
    same = _aliases(key for _, _, keys in found for key in keys)
    extraction = Extraction(failed=failed)
    named: dict[str, set[str]] = defaultdict(set)
    for memory, sentence, keys in found:
        for key, kind in keys:
            node = extraction.nodes[same.get(key, key)]
            node.types[kind] += 1
            node.memory_ids.add(memory)
            node.description = node.description or sentence[:LONGEST_DESCRIPTION]
            if kind != EntityType.OBJECT:
                named[memory].add(same.get(key, key))
        _relate(extraction, {same.get(key, key) for key, _ in keys}, memory, sentence, 2.0)
    for memory, titles in named.items():
        _relate(extraction, titles, memory, "", 1.0)
    return extraction


def _relate(extraction: Extraction, titles: set[str], memory: str, sentence: str, weight: float) -> None:
    for pair in combinations(sorted(titles), 2):
        edge = extraction.edges[pair]
        edge.weight += weight
        edge.memory_ids.add(memory)
        edge.description = edge.description or sentence[:LONGEST_DESCRIPTION]


def _aliases(keys: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A first name alone is the one person who is also named in full: ARTHUR is ARTHUR WHITCOMBE.

    A relative is not: one grandmother may be AGNES, and the other have no name.
    """
    people = {key for key, kind in keys if kind == EntityType.PERSON}
    full: dict[str, set[str]] = defaultdict(set)
    for person in people:
        first, _, rest = person.partition(" ")
        if rest and first not in _RELATIVES:
            full[first].add(person)
    return {first: next(iter(names)) for first, names in full.items() if first in people and len(names) == 1}


async def build(
    notes: Sequence[dict[str, str]], extraction: Extraction, folder: Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """GraphRAG's (communities, entities) tables."""
    import pandas as pd
    from graphrag.api import build_index
    from graphrag.index.workflows.factory import PipelineFactory

    PipelineFactory.register("extract_graph_local", _workflow(extraction))
    documents = pd.DataFrame(
        {
            "id": note["memory_id"],
            "human_readable_id": number,
            "title": note["memory_id"],
            "text": note["text"],
            "creation_date": "",
            "raw_data": None,
        }
        for number, note in enumerate(notes)
    )
    for result in await build_index(config=_config(folder), input_documents=documents):
        if result.error is not None:
            raise result.error
    output = folder / "output"
    return pd.read_parquet(output / "communities.parquet"), pd.read_parquet(output / "entities.parquet")


def _config(folder: Path) -> Any:
    from graphrag.config.models.cluster_graph_config import ClusterGraphConfig
    from graphrag.config.models.graph_rag_config import GraphRagConfig
    from graphrag.config.models.reporting_config import ReportingConfig
    from graphrag_cache import CacheConfig
    from graphrag_chunking.chunking_config import ChunkingConfig
    from graphrag_storage import StorageConfig

    return GraphRagConfig(
        workflows=WORKFLOWS,
        input_storage=StorageConfig(type="memory"),
        output_storage=StorageConfig(type="file", base_dir=str(folder / "output")),
        reporting=ReportingConfig(base_dir=str(folder / "logs")),
        cache=CacheConfig(type="none"),
        chunking=ChunkingConfig(size=CHUNK_TOKENS, overlap=0),
        cluster_graph=ClusterGraphConfig(use_lcc=False),
    )


def _workflow(extraction: Extraction) -> Any:
    """A GraphRAG workflow that writes the extraction as the tables `entities` and `relationships`."""

    async def extract_graph_local(config: Any, context: Any) -> Any:
        import pandas as pd
        from graphrag.data_model.data_reader import DataReader
        from graphrag.index.typing.workflow import WorkflowFunctionOutput

        units = await DataReader(context.output_table_provider).text_units()
        unit_of = dict(zip(units["document_id"], units["id"], strict=True))
        entities = pd.DataFrame(_entity_rows(extraction, unit_of))
        relationships = pd.DataFrame(_relationship_rows(extraction, unit_of))
        await context.output_table_provider.write_dataframe("entities", entities)
        await context.output_table_provider.write_dataframe("relationships", relationships)
        return WorkflowFunctionOutput(result=None)

    return extract_graph_local


def _entity_rows(extraction: Extraction, unit_of: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "title": title,
            "type": _type(node),
            "description": node.description,
            "text_unit_ids": sorted({unit_of[one] for one in node.memory_ids if one in unit_of}),
            "frequency": len(node.memory_ids),
        }
        for title, node in sorted(extraction.nodes.items())
    ]


def _relationship_rows(extraction: Extraction, unit_of: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "source": source,
            "target": target,
            "description": edge.description,
            "weight": edge.weight,
            "text_unit_ids": sorted({unit_of[one] for one in edge.memory_ids if one in unit_of}),
        }
        for (source, target), edge in sorted(extraction.edges.items())
    ]


def _communities(communities: pd.DataFrame, entities: pd.DataFrame, extraction: Extraction) -> list[dict[str, Any]]:
    """By titles in the place of GraphRAG's ids; the memories are those that relate two of its members."""
    title_of = dict(zip(entities["id"], entities["title"], strict=True))
    found = []
    for level, ids in zip(communities["level"], communities["entity_ids"], strict=True):
        titles = sorted(title_of[one] for one in ids)
        edges = (extraction.edges.get(pair) for pair in combinations(titles, 2))
        memories = sorted({memory for edge in edges if edge for memory in edge.memory_ids})
        found.append({"level": int(level), "titles": titles, "memory_ids": memories})
    return sorted(found, key=lambda one: (one["level"], one["titles"]))


def _as_lists(extraction: Extraction) -> dict[str, Any]:
    return {
        "entities": [
            {
                "title": title,
                "type": _type(node),
                "description": node.description,
                "memory_ids": sorted(node.memory_ids),
            }
            for title, node in sorted(extraction.nodes.items())
        ],
        "relationships": [
            {
                "source": source,
                "target": target,
                "description": edge.description,
                "weight": edge.weight,
                "memory_ids": sorted(edge.memory_ids),
            }
            for (source, target), edge in sorted(extraction.edges.items())
        ],
    }


def _type(node: Node) -> str:
    """What most mentions said; of equals, the first in the alphabet."""
    return min(node.types, key=lambda kind: (-node.types[kind], kind))


if __name__ == "__main__":
    program_main(run)
