"""The GGUF that a Python package carries: as one file, or in parts that its `assemble` puts together and checks."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from kernel.recipe import BaseModel


def packaged_gguf(distribution: str, assembled: Path) -> Path:
    """Where it lies in the package; else at `assembled`, made of the parts if it is not there yet.

    Raises PackageNotFoundError, and ValueError for parts whose SHA-256 is wrong.
    """
    if whole := _in_one(distribution):
        return whole
    if not assembled.exists():
        assembled.parent.mkdir(parents=True, exist_ok=True)
        aside = assembled.with_suffix(".part")
        aside.unlink(missing_ok=True)
        import_module(distribution.replace("-", "_")).assemble(aside)
        os.replace(aside, assembled)
    return assembled


def read_with(base: BaseModel) -> Path:
    """The GGUF that a base model reads with: its package's own, for which nothing is unpacked; else the one that it
    chats with. It may be still to make: see `BaseModelStore.prepare_to_read`.
    """
    kind, _, name = base.source.partition(":")
    if kind != "package":
        return base.gguf_path
    with suppress(PackageNotFoundError):
        if whole := _in_one(name):
            return whole
    return base.gguf_path.with_name(f"{base.key}.packaged.gguf")


def readers(bases: Mapping[str, Sequence[BaseModel]]) -> dict[str, list[Path]]:
    """What the reranker reads with, by language."""
    return {language: [read_with(base) for base in some] for language, some in bases.items()}


def _in_one(distribution: str) -> Path | None:
    found = (file for file in files(distribution) or [] if file.suffix == ".gguf")
    return next((Path(str(file.locate())) for file in found), None)
