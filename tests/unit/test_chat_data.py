"""merged.json: everything that is taught, with what it came from, and exactly what the training reads."""

import json
from pathlib import Path

from adapters.artifacts import ArtifactStore, Place
from kernel.chat_data import create_chat_data, merge, sample_facts, sample_table, write_merged
from kernel.ids import ElderId, MemoryId, TenantId
from kernel.sample import Dropped, Fault, Message, Sample, Samples
from workers.trainer import sft_row


def _sample(number: int, kind: str = "memory_qa", *, is_shown: bool = False) -> Sample:
    prompt = (Message(role="system", content="You are M."), Message(role="user", content=f"问题 {number}?"))
    return Sample(
        kind=kind,
        prompt=prompt,
        completion=f"Answer {number}.",
        memory_ids=() if kind == "negative" else (MemoryId(f"m_{number}"),),
        language="en",
        is_shown=is_shown,
        is_opening=number == 2,
    )


SAMPLES = Samples(
    items=(_sample(1), _sample(2), _sample(3, "negative", is_shown=True), _sample(4, "context")),
    dropped=(Dropped(fault=Fault.PERSON, count=7, examples=(_sample(5),)),),
)


def _silent(fraction: float, **facts: float | int | str) -> None:
    pass


def test_the_file_read_back_gives_the_rows_that_the_training_program_makes(tmp_path: Path) -> None:
    write_merged(SAMPLES, tmp_path, report=_silent)
    read = json.loads((tmp_path / "merged.json").read_text(encoding="utf-8"))
    rows = create_chat_data(read)
    assert rows == create_chat_data({"samples": [sft_row(sample) for sample in SAMPLES.items]})
    assert rows[1] == {
        "prompt": [{"role": "system", "content": "You are M."}, {"role": "user", "content": "问题 2?"}],
        "completion": [{"role": "assistant", "content": "Answer 2."}],
        "is_opening": True,
    }


def test_every_sample_is_in_it_with_its_generator_and_memories() -> None:
    first, _, refusal, need = merge(SAMPLES)["samples"]
    assert (first["generator"], first["memory_ids"], first["is_refusal"]) == ("MemoryQA", ["m_1"], False)
    assert (refusal["generator"], refusal["memory_ids"], refusal["is_refusal"]) == ("NegativeSampling", [], True)
    assert need["generator"] == "ContextGenerator" and need["id"] == SAMPLES.items[3].id


def test_the_table_counts_what_came_from_what_and_what_was_dropped() -> None:
    table = sample_table(SAMPLES)
    assert sum(int(row["samples"]) for row in table) == len(SAMPLES.items)
    asked = next(row for row in table if row["kind"] == "memory_qa")
    assert (asked["generator"], asked["language"], asked["is_shown"], asked["samples"]) == ("MemoryQA", "en", False, 2)
    [dropped] = merge(SAMPLES)["dropped"]
    assert (dropped["fault"], dropped["count"], len(dropped["examples"])) == ("person", 7, 1)


def test_who_watches_is_told_the_counts_and_no_words(tmp_path: Path) -> None:
    told: list[tuple[float, dict[str, object]]] = []
    write_merged(SAMPLES, tmp_path, report=lambda fraction, **facts: told.append((fraction, dict(facts))))
    assert told == [(1.0, {"samples": 4, "shown": 1, "refusals": 1, "dropped": 7})]
    assert sample_facts(SAMPLES) == told[0][1]


def test_it_is_part_of_the_artefact_and_changes_with_it(tmp_path: Path) -> None:
    store, place = ArtifactStore(tmp_path), Place(tenant=TenantId("t"), elder=ElderId("e"), stage="make_samples")
    with store.aside(place, "k", needed_bytes=1) as folder:
        made = write_merged(SAMPLES, folder, report=_silent)
        stored = store.commit(place, "k", folder, made, inputs={}, seconds=1.0)
    assert store.load(stored, Samples) == SAMPLES
    assert "merged.json" in stored.manifest.files
    (stored.folder / "merged.json").write_text("{}", encoding="utf-8")
    assert store.look(place, "k") is None, "a changed file is no whole artefact"
