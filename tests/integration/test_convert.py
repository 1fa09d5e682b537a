"""From an adapter to a GGUF, with the real programs, converter and llama.cpp, on a tiny model."""

import hashlib
import json
from pathlib import Path

import pytest

from adapters.converter import convert, is_prepared, prepare_converter
from adapters.llama_cpp import quantise
from config.settings import ROOT
from kernel.adapter import Adapter, MergedWeights
from kernel.errors import ConversionMismatch
from kernel.recipe import Recipe
from kernel.sample import Message
from tests.tiny_model import make_random_adapter, make_tiny_base
from tests.tiny_recipe import tiny_recipe
from workers.trainer import SubprocessTrainer

PROMPTS = [
    [Message(role="system", content="You are Rose."), Message(role="user", content=question)]
    for question in ("Who are you?", "Where were you born?", "What do you remember?")
]


@pytest.fixture(scope="module")
def llama_cpp_dir() -> Path:
    return prepare_converter(ROOT / "vendor" / "llama.cpp", report)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, llama_cpp_dir: Path) -> Recipe:
    """With the base's own GGUF, as BaseModelStore makes it."""
    folder = tmp_path_factory.mktemp("base") / "tiny"
    make_tiny_base(folder)
    recipe = tiny_recipe(folder)
    full = folder.with_name("full.gguf")
    convert(llama_cpp_dir, folder, full, outtype="f16", log=folder.with_name("log"))
    quantise(full, recipe.base.gguf_path, "q8_0", threads=1)
    return recipe


@pytest.fixture(scope="module")
def adapter(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    folder = tmp_path_factory.mktemp("adapter")
    make_random_adapter(recipe.base.hf_path, folder)
    return Adapter(base="tiny", method="sft", steps=1, loss=1.0, folder=folder)


@pytest.fixture(scope="module")
def merged(
    adapter: Adapter, recipe: Recipe, llama_cpp_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> MergedWeights:
    folder = tmp_path_factory.mktemp("merged")
    return SubprocessTrainer(llama_cpp_dir=llama_cpp_dir).merge(adapter, recipe=recipe, folder=folder, report=report)


def test_a_merged_adapter_becomes_a_gguf_that_says_the_same(
    merged: MergedWeights, recipe: Recipe, llama_cpp_dir: Path, tmp_path: Path
) -> None:
    trainer = SubprocessTrainer(llama_cpp_dir=llama_cpp_dir)
    gguf = trainer.convert(merged, recipe=recipe, prompts=PROMPTS, folder=tmp_path, report=report)
    assert (gguf.same_answers, gguf.asked) == (3, 3)
    assert [file.name for file in tmp_path.iterdir()] == ["model.gguf"]
    answers = trainer.answer(gguf.path, PROMPTS, recipe=recipe, report=report)
    assert len(answers) == 3
    assert answers == trainer.answer(gguf.path, PROMPTS, recipe=recipe, report=report)


def test_an_adapter_alone_says_on_its_base_what_the_merged_weights_say(
    merged: MergedWeights, adapter: Adapter, recipe: Recipe, llama_cpp_dir: Path, tmp_path: Path
) -> None:
    trainer = SubprocessTrainer(llama_cpp_dir=llama_cpp_dir)
    first, again = (
        trainer.convert(merged, adapter=adapter, recipe=recipe, prompts=PROMPTS, folder=tmp_path / name, report=report)
        for name in ("one", "two")
    )
    assert (first.same_answers, first.asked, first.storage) == (3, 3, "adapter")
    assert [file.name for file in first.folder.iterdir()] == ["adapter.gguf"]
    assert digests(first.folder) == digests(again.folder)
    weights, lora = first.on(recipe.base.gguf_path)
    answers = trainer.answer(weights, PROMPTS, adapter=lora, recipe=recipe, report=report)
    assert answers != trainer.answer(weights, PROMPTS, recipe=recipe, report=report)
    assert first.path.stat().st_size < recipe.base.gguf_path.stat().st_size / 10


def test_another_adapter_than_was_merged_is_refused(
    merged: MergedWeights, recipe: Recipe, llama_cpp_dir: Path, tmp_path: Path
) -> None:
    make_random_adapter(recipe.base.hf_path, tmp_path / "other", seed=3)
    other = Adapter(base="tiny", method="sft", steps=1, loss=1.0, folder=tmp_path / "other")
    with pytest.raises(ConversionMismatch):
        SubprocessTrainer(llama_cpp_dir=llama_cpp_dir).convert(
            merged, adapter=other, recipe=recipe, prompts=PROMPTS, folder=tmp_path / "out", report=report
        )


def test_the_same_adapter_gives_the_same_bytes_wherever_they_are_written(
    adapter: Adapter, merged: MergedWeights, recipe: Recipe, llama_cpp_dir: Path, tmp_path: Path
) -> None:
    trainer = SubprocessTrainer(llama_cpp_dir=llama_cpp_dir)
    again = trainer.merge(adapter, recipe=recipe, folder=tmp_path / "elsewhere", report=report)
    assert digests(again.folder) == digests(merged.folder)
    first, second = (
        trainer.convert(weights, recipe=recipe, prompts=PROMPTS, folder=tmp_path / name, report=report)
        for weights, name in ((merged, "one"), (again, "two"))
    )
    assert digests(first.folder) == digests(second.folder)


def test_a_gguf_that_says_something_else_is_refused(
    merged: MergedWeights, recipe: Recipe, llama_cpp_dir: Path, tmp_path: Path
) -> None:
    """llama.cpp knows one activation for a Llama; transformers does as config.json says."""
    for file in merged.folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["hidden_act"] = "relu"
    (tmp_path / "config.json").write_text(json.dumps(config))
    broken = MergedWeights(base="tiny", folder=tmp_path)
    with pytest.raises(ConversionMismatch):
        SubprocessTrainer(llama_cpp_dir=llama_cpp_dir).convert(
            broken, recipe=recipe, prompts=PROMPTS, folder=tmp_path / "out", report=report
        )


def test_a_converter_with_a_changed_file_is_not_trusted(llama_cpp_dir: Path, tmp_path: Path) -> None:
    copy = tmp_path / "llama.cpp"
    for file in llama_cpp_dir.rglob("*"):
        if file.is_file():
            target = copy / file.relative_to(llama_cpp_dir)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    assert is_prepared(copy)
    (copy / "convert_hf_to_gguf.py").write_text("")
    assert not is_prepared(copy)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def report(fraction: float, **facts: float | int | str) -> None:
    assert 0 <= fraction <= 1
