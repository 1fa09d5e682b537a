"""The GraphRAG program: notes in, an entity graph out. `python -m adapters.graphrag_program REQUEST RESULT`.

A process of its own, because GraphRAG patches asyncio when it is imported. It runs GraphRAG 3.3's pipeline
with one workflow of our own in the place of the LLM's extraction: what a teacher or the offline finder found
(adapters/graph_extraction.py). GraphRAG counts degrees and finds the Leiden communities. Its ids are new at each
run and are left behind: titles are the keys.
"""

from __future__ import annotations

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else litellm fetches a file from the web when imported

import asyncio
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.graph_extraction import Extraction, extract
from adapters.program import Say, program_main

if TYPE_CHECKING:
    import pandas as pd

WORKFLOWS = [
    "create_base_text_units",
    "create_final_documents",
    "extract_graph_local",
    "finalize_graph",
    "create_communities",
    "create_final_text_units",
]
CHUNK_TOKENS = 8000  #: longer than any memory: one note, one text unit


def run(request: dict[str, Any], say: Say) -> dict[str, Any]:
    """Request: {language, notes: [{memory_id, text, reading}], folder}. Result: the graph's lists, as plain values."""
    from adapters.entity_finder import OfflineEntityFinder

    extraction = extract(request["notes"], request["language"], OfflineEntityFinder(), say)
    communities: list[dict[str, Any]] = []
    if extraction.edges:  # GraphRAG raises on a graph without any
        tables = asyncio.run(build(request["notes"], extraction, Path(request["folder"])))
        communities = _communities(*tables, extraction)
    return {**_as_lists(extraction), "communities": communities, "failed": sorted(extraction.failed)}


async def build(
    notes: Sequence[Mapping[str, Any]], extraction: Extraction, folder: Path
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
            "type": node.type,
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
                "type": node.type,
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


if __name__ == "__main__":
    program_main(run)
