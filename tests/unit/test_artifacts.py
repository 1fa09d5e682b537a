"""Artefacts: whole or not there; what rots is noticed; the digest is of the content alone."""

import errno
import os
from pathlib import Path

import pytest

from adapters.artifacts import ArtifactStore, Place
from kernel.adapter import Adapter
from kernel.artifact import artifact_key
from kernel.bio import Bio
from kernel.errors import NoDiskSpace
from kernel.ids import ElderId, MemoryId, TenantId

BIO_PLACE = Place(tenant=TenantId("t"), elder=ElderId("e"), stage="write_bio")
SFT_PLACE = Place(tenant=TenantId("t"), elder=ElderId("e"), stage="train_sft")
BIO = Bio(
    elder_name="李小明",
    first_person="我",
    second_person="你",
    third_person="他",
    memory_ids=(MemoryId("m1"),),
)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path)


def _keep_bio(store: ArtifactStore, key: str = "k", seconds: float = 1.0) -> str:
    with store.aside(BIO_PLACE, key, needed_bytes=1) as folder:
        return store.commit(BIO_PLACE, key, folder, BIO, inputs={"write_notes": "d"}, seconds=seconds).manifest.digest


def _keep_adapter(store: ArtifactStore) -> None:
    with store.aside(SFT_PLACE, "k", needed_bytes=1) as folder:
        (folder / "adapter_model.safetensors").write_bytes(b"weights")
        adapter = Adapter(base="b", method="sft", steps=3, loss=0.5, folder=folder)
        store.commit(SFT_PLACE, "k", folder, adapter, inputs={}, seconds=2.0)


def test_a_kept_value_comes_back_the_same(store: ArtifactStore) -> None:
    _keep_bio(store)
    stored = store.find(BIO_PLACE, "k")
    assert stored is not None and store.load(stored, Bio) == BIO
    assert stored.manifest.inputs == {"write_notes": "d"}


def test_weights_come_back_in_the_folder_where_they_lie(store: ArtifactStore) -> None:
    _keep_adapter(store)
    stored = store.find(SFT_PLACE, "k")
    assert stored is not None
    adapter = store.load(stored, Adapter)
    assert (adapter.folder / "adapter_model.safetensors").read_bytes() == b"weights"
    assert "folder" not in (stored.folder / "artefact.json").read_text()


def test_the_same_content_has_the_same_digest_however_long_it_took(store: ArtifactStore) -> None:
    assert _keep_bio(store, "k1", seconds=1.0) == _keep_bio(store, "k2", seconds=9.0)


@pytest.mark.parametrize("damage", [b"", b"weightz", b"weights and more"])
def test_a_corrupt_artefact_is_noticed_and_is_not_there(store: ArtifactStore, damage: bytes) -> None:
    _keep_adapter(store)
    stored = store.find(SFT_PLACE, "k")
    assert stored is not None
    (stored.folder / "adapter_model.safetensors").write_bytes(damage)
    assert store.find(SFT_PLACE, "k") is None
    assert not store.exists(SFT_PLACE, "k")


def test_what_a_stage_made_before_is_found_where_it_is_whole_and_of_the_same_form(store: ArtifactStore) -> None:
    _keep_bio(store, "k1")
    stored = store.find(BIO_PLACE, "k1")
    assert stored is not None
    store.scratch(BIO_PLACE, "k2")
    assert store.earlier(BIO_PLACE, Bio) == [BIO] and store.earlier(BIO_PLACE, Adapter) == []
    (stored.folder / "artefact.json").write_text("{}")
    assert store.earlier(BIO_PLACE, Bio) == [] == store.earlier(SFT_PLACE, Adapter)


def test_an_attempt_that_fails_leaves_nothing_but_its_scratch(store: ArtifactStore, tmp_path: Path) -> None:
    scratch = store.scratch(BIO_PLACE, "k")
    (scratch / "checkpoint").touch()
    with pytest.raises(ValueError), store.aside(BIO_PLACE, "k", needed_bytes=1):
        raise ValueError
    assert [file.name for file in (tmp_path / "t" / "e" / "write_bio").iterdir()] == [scratch.name]
    _keep_bio(store)
    assert not scratch.exists()


def test_a_disk_without_room_is_said_before_and_during_the_work(store: ArtifactStore) -> None:
    with (
        pytest.raises(NoDiskSpace, match="Free some, then start again"),
        store.aside(BIO_PLACE, "k", needed_bytes=10**18),
    ):
        pass
    with pytest.raises(NoDiskSpace), store.aside(BIO_PLACE, "k", needed_bytes=1):
        raise OSError(errno.ENOSPC, "full")


def test_tidying_keeps_what_is_named_and_deleting_removes_the_elder(store: ArtifactStore, tmp_path: Path) -> None:
    _keep_bio(store, "old")
    _keep_bio(store, "new")
    store.tidy(TenantId("t"), ElderId("e"), {"new"})
    assert store.exists(BIO_PLACE, "new") and not store.exists(BIO_PLACE, "old")
    store.delete(TenantId("t"), ElderId("e"))
    assert not (tmp_path / "t" / "e").exists()
    store.delete(TenantId("t"), ElderId("e"))


def test_weights_that_cannot_be_deleted_are_not_reported_as_deleted(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    _keep_bio(store, "kept")

    def refuse(path: object, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "not yours", path)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(PermissionError):
        store.delete(TenantId("t"), ElderId("e"))


def test_a_key_changes_with_stage_code_settings_and_inputs_and_with_nothing_else() -> None:
    key = artifact_key("s", 1, {"a": 1, "b": 2}, {"x": "d"})
    assert key == artifact_key("s", 1, {"b": 2, "a": 1}, {"x": "d"})
    others = [
        artifact_key("t", 1, {"a": 1, "b": 2}, {"x": "d"}),
        artifact_key("s", 2, {"a": 1, "b": 2}, {"x": "d"}),
        artifact_key("s", 1, {"a": 1, "b": 3}, {"x": "d"}),
        artifact_key("s", 1, {"a": 1, "b": 2}, {"x": "e"}),
    ]
    assert len({key, *others}) == 5


def test_what_is_on_disk_is_counted_and_what_an_engine_shares_by_a_link_is_the_engines(
    store: ArtifactStore, tmp_path: Path
) -> None:
    tenant, elder = TenantId("t"), ElderId("e")
    assert store.size_bytes(tenant, elder) == 0
    _keep_adapter(store)
    before = store.size_bytes(tenant, elder)
    weights = tmp_path / "t" / "e" / "train_sft" / "k" / "adapter_model.safetensors"
    os.link(weights, tmp_path / "served.gguf")
    assert before - store.size_bytes(tenant, elder) == len(b"weights")
    assert store.size_bytes(TenantId("other"), elder) == 0
