"""The program that runs GraphRAG: `python -m adapters.graphrag_program REQUEST.json RESULT.json`.

GraphRAG's own fast extractor needs downloads and rejects Chinese, so the extraction is a workflow of ours over
the offline entity finder; base text units, finalising and Leiden communities are GraphRAG's.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.entity_finder import OfflineEntityFinder
from adapters.program import Say, program_main
from kernel.language import sentences
from kernel.ports import Mention

if TYPE_CHECKING:
    import pandas

WORKFLOWS = [
    "create_base_text_units",
    "create_final_documents",
    "extract_graph_local",
    "finalize_graph",
    "create_communities",
    "create_final_text_units",
]
SEED = 7  #: of the Leiden clustering
_SAME_SENTENCE, _SAME_MEMORY = 2.0, 1.0  #: weights of a relationship
_CREATED = "2026-01-01T00:00:00"  # GraphRAG wants a date of each document; ours are told elsewhere

Row = dict[str, Any]


def run(request: Mapping[str, Any], say: Say) -> Row:
    notes = {note["id"]: note["text"] for note in request["notes"]}
    mentions, failed = _find(notes, request["language"], say)
    entities, relationships = entity_rows(mentions), relationship_rows(mentions, notes)
    if not entities or not relationships:  # GraphRAG takes neither for an error
        return _graph(entities, relationships, [], failed)
    tables = _index(notes, entities, relationships, Path(request["folder"]) / "graphrag")
    say(1.0)
    return _graph(entities, relationships, _communities(tables), failed)


def entity_rows(mentions: Mapping[str, list[Mention]]) -> list[Row]:
    """One row a title; a title found as two types is of the one found most often."""
    types: dict[str, Counter[str]] = defaultdict(Counter)
    memories: dict[str, set[str]] = defaultdict(set)
    for memory, found in mentions.items():
        for mention in found:
            types[mention.title.upper()][mention.type.value] += 1
            memories[mention.title.upper()].add(memory)
    return [
        {
            "title": title,
            "type": min(types[title].items(), key=lambda one: (-one[1], one[0]))[0],
            "description": title,
            "memory_ids": sorted(memories[title]),
        }
        for title in sorted(types)
    ]


def relationship_rows(mentions: Mapping[str, list[Mention]], notes: Mapping[str, str]) -> list[Row]:
    """Two entities told of together; more when it is in one sentence."""
    weights: Counter[tuple[str, str]] = Counter()
    memories: dict[tuple[str, str], set[str]] = defaultdict(set)
    for memory, found in mentions.items():
        for pair, weight in _pairs(found, notes[memory]):
            weights[pair] += weight  # type: ignore[assignment]
            memories[pair].add(memory)
    return [
        {
            "source": pair[0],
            "target": pair[1],
            "description": f"{pair[0]} / {pair[1]}",
            "weight": float(weights[pair]),
            "memory_ids": sorted(memories[pair]),
        }
        for pair in sorted(weights)
    ]


def _find(
    notes: Mapping[str, str], language: str, say: Say
) -> tuple[dict[str, list[Mention]], list[str]]:
    """Mentions by memory; a note that the finder gives up on is named, and fails nothing else."""
    finder = OfflineEntityFinder()
    found: dict[str, list[Mention]] = {}
    failed: list[str] = []
    for number, (memory, text) in enumerate(notes.items()):
        try:
            found[memory] = finder.find(text, language)
        except Exception as error:
            logging.warning("the entity finder gave up on %s: %s", memory, type(error).__name__)
            failed.append(memory)
        say(0.5 * (number + 1) / len(notes))
    return found, failed


def _pairs(found: Iterable[Mention], text: str) -> Iterable[tuple[tuple[str, str], float]]:
    told = sentences(text)
    for one, other in combinations(sorted({mention.title for mention in found}), 2):
        if one.upper() == other.upper():
            continue
        together = any(one in sentence and other in sentence for sentence in told)
        first, second = sorted((one.upper(), other.upper()))
        yield (first, second), _SAME_SENTENCE if together else _SAME_MEMORY


def _index(
    notes: Mapping[str, str], entities: list[Row], relationships: list[Row], folder: Path
) -> "dict[str, pandas.DataFrame]":
    """Run GraphRAG over the rows; its tables. Raises RuntimeError with the failed workflow's name."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # before any import of litellm: it would ask the web
    import pandas
    from graphrag.api import build_index
    from graphrag.index.typing.workflow import WorkflowFunctionOutput
    from graphrag.index.workflows.factory import PipelineFactory

    async def extract(config: Any, context: Any) -> WorkflowFunctionOutput:
        provider = context.output_table_provider
        units = await provider.read_dataframe("text_units")
        unit_of = dict(zip(units["document_id"], units["id"], strict=True))
        await provider.write_dataframe("entities", pandas.DataFrame(_with_units(entities, unit_of)))
        await provider.write_dataframe("relationships", pandas.DataFrame(_with_units(relationships, unit_of)))
        return WorkflowFunctionOutput(result=None)

    PipelineFactory.register("extract_graph_local", extract)
    documents = pandas.DataFrame(
        [
            {
                "id": memory,
                "human_readable_id": number,
                "title": memory,
                "text": f"{memory}\n{text}",  # a text unit's id is its text's digest: equal words are two memories
                "creation_date": _CREATED,
                "raw_data": None,
            }
            for number, (memory, text) in enumerate(notes.items())
        ]
    )
    shutil.rmtree(folder, ignore_errors=True)
    for result in asyncio.run(build_index(config=_config(folder), input_documents=documents)):
        if result.error is not None:
            raise RuntimeError(f"GraphRAG's {result.workflow} failed") from result.error
    return {
        name: pandas.read_parquet(folder / "output" / f"{name}.parquet") for name in ("entities", "communities")
    }


def _config(folder: Path) -> Any:
    from graphrag.config.models.cluster_graph_config import ClusterGraphConfig
    from graphrag.config.models.graph_rag_config import GraphRagConfig
    from graphrag_llm.config import ModelConfig
    from graphrag_storage import StorageConfig

    nobody = ModelConfig(type="litellm", model_provider="openai", model="none", api_key="none")
    return GraphRagConfig(
        completion_models={"default_completion_model": nobody},
        embedding_models={"default_embedding_model": nobody},
        workflows=WORKFLOWS,
        input_storage=StorageConfig(type="memory"),
        output_storage=StorageConfig(type="file", base_dir=str(folder / "output")),
        reporting={"base_dir": str(folder / "logs")},
        cluster_graph=ClusterGraphConfig(use_lcc=False, seed=SEED),
    )


def _with_units(rows: list[Row], unit_of: Mapping[str, str]) -> list[Row]:
    return [
        {name: value for name, value in row.items() if name != "memory_ids"}
        | {
            "text_unit_ids": [unit_of[memory] for memory in row["memory_ids"]],
            "frequency": len(row["memory_ids"]),
        }
        for row in rows
    ]


def _communities(tables: "Mapping[str, pandas.DataFrame]") -> list[Row]:
    titles = dict(zip(tables["entities"]["id"], tables["entities"]["title"], strict=True))
    return [
        {"level": int(row.level), "titles": sorted(titles[one] for one in row.entity_ids)}
        for row in tables["communities"].itertuples()
    ]


def _graph(entities: list[Row], relationships: list[Row], communities: list[Row], failed: list[str]) -> Row:
    """Our graph's JSON: sorted, and with no id of GraphRAG's."""
    memories = {row["title"]: row["memory_ids"] for row in entities}
    told = [
        row | {"memory_ids": sorted({memory for title in row["titles"] for memory in memories[title]})}
        for row in communities
    ]
    return {
        "entities": entities,
        "relationships": relationships,
        "communities": sorted(told, key=lambda row: (row["level"], row["titles"])),
        "failed_memory_ids": failed,
    }


if __name__ == "__main__":
    program_main(run)
