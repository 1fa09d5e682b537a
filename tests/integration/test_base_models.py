"""The embedded base model, for real: SmolLM2-135M out of its package."""

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.base_models import BaseModelStore
from config.config_loader import ConfigLoader
from config.settings import ROOT
from kernel.errors import BaseModelMissing, Cancelled
from kernel.recipe import BaseModel
from tests.tiny_model import make_tiny_base
from tests.tiny_recipe import tiny_recipe

STORE = BaseModelStore(llama_cpp_dir=ROOT / "vendor" / "llama.cpp")


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    loader = ConfigLoader(
        ROOT / "config" / "training_config.yaml", model_dir=tmp_path_factory.mktemp("models"), environ={}
    )
    base = loader.get_base_model("smollm2-135m-instruct")
    STORE.prepare(base, report)
    return base


@pytest.fixture
def tiny(tmp_path: Path) -> BaseModel:
    """Two layers, from a folder on this machine."""
    make_tiny_base(tmp_path / "source")
    base = tiny_recipe(tmp_path / "source").base
    return replace(base, hf_path=tmp_path / "base" / "tiny", gguf_path=tmp_path / "base" / "tiny.gguf")


def test_a_model_in_a_package_becomes_weights_to_train_and_a_gguf_to_compare_with(smollm2: BaseModel) -> None:
    names = {file.name for file in smollm2.hf_path.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= names
    assert smollm2.gguf_path.stat().st_size == pytest.approx(145e6, rel=0.02)
    left = {path.name for path in smollm2.hf_path.parent.iterdir()} - {smollm2.hf_path.name}
    assert left == {
        "smollm2-135m-instruct.gguf",
        "smollm2-135m-instruct.manifest.json",
        ".smollm2-135m-instruct.lock",
    }


def test_preparing_again_costs_nothing(smollm2: BaseModel) -> None:
    started = time.monotonic()
    STORE.prepare(smollm2, report)
    assert time.monotonic() - started < 1
    assert STORE.is_whole(smollm2, in_full=True)


def test_a_touched_file_with_the_same_bytes_is_still_whole(smollm2: BaseModel) -> None:
    os.utime(smollm2.gguf_path)
    assert STORE.is_whole(smollm2)


def test_a_corrupted_file_is_noticed_and_made_again(tiny: BaseModel) -> None:
    STORE.prepare(tiny, report)
    good = tiny.gguf_path.read_bytes()
    with tiny.gguf_path.open("r+b") as file:
        file.seek(len(good) // 2)
        file.write(b"damaged")
    assert not STORE.is_whole(tiny)
    STORE.prepare(tiny, report)
    assert tiny.gguf_path.read_bytes() == good


def test_damage_that_keeps_size_and_time_is_found_by_the_full_check(tiny: BaseModel) -> None:
    STORE.prepare(tiny, report)
    weights = tiny.hf_path / "model.safetensors"
    stat = weights.stat()
    with weights.open("r+b") as file:
        file.seek(stat.st_size // 2)
        file.write(b"damaged")
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert STORE.is_whole(tiny)
    assert not STORE.is_whole(tiny, in_full=True)


def test_two_workers_that_ask_at_once_make_it_once(tiny: BaseModel) -> None:
    made = [0.0, 0.0]

    def prepare(number: int) -> None:
        def count(fraction: float, **facts: float | int | str) -> None:
            made[number] += fraction > 0.1 and fraction < 1

        STORE.prepare(tiny, count)

    workers = [threading.Thread(target=prepare, args=(number,)) for number in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(bool(count) for count in made) == [False, True]
    assert STORE.is_whole(tiny, in_full=True)


def test_a_cut_copy_is_refused_with_what_to_do(tiny: BaseModel, tmp_path: Path) -> None:
    weights = tmp_path / "source" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(BaseModelMissing, match=r"model\.safetensors"):
        STORE.prepare(tiny, report)
    assert not tiny.hf_path.exists()


def test_a_folder_put_there_by_hand_is_taken_without_a_network(
    tiny: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    by_hand = replace(tiny, source="hub:nobody/nothing")
    with pytest.raises(BaseModelMissing, match="hf download nobody/nothing"):
        STORE.prepare(by_hand, report)
    make_tiny_base(tiny.hf_path)
    STORE.prepare(by_hand, report)
    assert STORE.is_whole(by_hand)


def test_a_cancel_stops_the_making_and_leaves_nothing_half_made(tiny: BaseModel) -> None:
    def cancel(fraction: float, **facts: float | int | str) -> None:
        if fraction > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        STORE.prepare(tiny, cancel)
    assert not tiny.hf_path.exists()
    assert not tiny.gguf_path.exists()


def report(fraction: float, **facts: float | int | str) -> None:
    assert 0 <= fraction <= 1
