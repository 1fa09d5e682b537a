"""The doctor: looks at every part and says what is missing and how to get it. It changes nothing."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
from packaging.requirements import Requirement

from adapters.converter import is_prepared
from config.config_loader import ConfigLoader
from config.settings import Settings
from modelserver.cli.base import is_ready
from modelserver.cli.finding import Finding
from modelserver.cli.servers import examine_servers
from modelserver.cli.words import Words

DISK_GB = 5  #: one base model, its merged weights and GGUF, and some versions
MEMORY_GB = 3  #: training SmolLM2-135M


def examine(settings: Settings, words: Words) -> Iterator[Finding]:
    """Findings in the order in which a person would mend them."""
    yield _python(words)
    yield from _packages(settings, words)
    yield _compiler(words)
    yield _converter(settings, words)
    yield from _bases(settings, words)
    yield from _disks(settings, words)
    yield _memory(words)
    yield _gpu(words)
    yield from examine_servers(settings, words)


def _python(words: Words) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    is_ok = (3, 11) <= sys.version_info[:2] < (3, 13)
    return Finding(
        part=words("doctor.python"),
        found=version if is_ok else words("doctor.python_bad", version=version),
        is_ok=is_ok,
    )


def _compiler(words: Words) -> Finding:
    found = next(filter(None, map(shutil.which, (os.environ.get("CXX", "g++"), "g++", "clang++"))), "")
    return Finding(
        part=words("doctor.compiler"),
        found=found or words("doctor.no_compiler"),
        is_ok=bool(found),
        is_needed=False,
    )


def _packages(settings: Settings, words: Words) -> Iterator[Finding]:
    """As this distribution declares them: what it always needs, then each extra."""
    try:
        declared = [Requirement(text) for text in importlib.metadata.requires("heirloom") or []]
    except importlib.metadata.PackageNotFoundError:
        part = words("doctor.packages", group="heirloom")
        yield Finding(part=part, found=words("doctor.not_installed"), is_ok=False)
        return
    is_embedded = not (settings.mongo_url and settings.redis_url)
    for group in ("", "train", "graph", "models", "voice", "embedded"):
        members = [one for one in declared if _belongs(one, group)]
        missing = [one.name for one in members if not _is_installed(one)]
        names, extra = ", ".join(missing), group or "train,graph,embedded"
        found = words("doctor.all_here", count=len(members))
        yield Finding(
            part=words("doctor.packages", group=group or "heirloom"),
            found=words("doctor.missing_packages", names=names, group=extra) if missing else found,
            is_ok=not missing,
            is_needed=group != "voice" and (group != "embedded" or is_embedded),
        )


def _belongs(requirement: Requirement, group: str) -> bool:
    """To exactly this extra; "" for what is needed without any."""
    is_always = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    if not group or is_always:
        return is_always and not group
    return requirement.marker is not None and requirement.marker.evaluate({"extra": group})


def _is_installed(requirement: Requirement) -> bool:
    version = _version(requirement.name)
    return bool(version) and requirement.specifier.contains(version, prereleases=True)


def _version(package: str) -> str:
    """The installed one; "" for none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _converter(settings: Settings, words: Words) -> Finding:
    folder = settings.llama_cpp_dir
    try:
        is_ok = is_prepared(folder)
    except importlib.metadata.PackageNotFoundError:
        is_ok = False
    found = str(folder) if is_ok else words("doctor.no_converter", folder=folder)
    return Finding(part=words("doctor.converter"), found=found, is_ok=is_ok)


def _bases(settings: Settings, words: Words) -> Iterator[Finding]:
    """Those that come as packages; the others are anybody's choice."""
    config = ConfigLoader(settings.config_file, model_dir=settings.model_dir)
    for base in config.get_base_models():
        kind, _, package = base.source.partition(":")
        if kind != "package":
            continue
        is_here = _is_installed(Requirement(package))
        found = words("doctor.base_package", package=package)
        if is_here:
            is_done = is_ready(base, settings)
            found = words("doctor.base_ready") if is_done else words("doctor.base_later", key=base.key)
        yield Finding(part=words("doctor.base", name=base.name), found=found, is_ok=is_here, is_needed=False)


def _disks(settings: Settings, words: Words) -> Iterator[Finding]:
    """Of the data and of the models: one where both lie on the same."""
    folders = [
        next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
        for folder in (settings.model_dir, settings.data_dir)
    ]
    for folder in {path.stat().st_dev: path for path in folders}.values():
        yield _disk(folder, words)


def _disk(folder: Path, words: Words) -> Finding:
    usage = shutil.disk_usage(folder)
    free = usage.free / 1e9
    is_ok = free >= DISK_GB
    found = words("doctor.free", free=free, total=usage.total / 1e9)
    if not is_ok:
        found = words("doctor.disk_low", free=free, path=folder, need=DISK_GB)
    return Finding(part=words("doctor.disk", path=folder), found=found, is_ok=is_ok)


def _memory(words: Words) -> Finding:
    memory = psutil.virtual_memory()
    free = memory.available / 1e9
    is_ok = free >= MEMORY_GB
    found = words("doctor.free", free=free, total=memory.total / 1e9)
    return Finding(
        part=words("doctor.memory"),
        found=found if is_ok else words("doctor.memory_low", free=free, need=MEMORY_GB),
        is_ok=is_ok,
    )


def _gpu(words: Words) -> Finding:
    """Asked of the driver's own tool: importing torch takes seconds."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return Finding(part=words("doctor.gpu"), found=words("doctor.no_gpu"), is_ok=False, is_needed=False)
    cards, torch = "; ".join(done.stdout.strip().splitlines()), _version("torch")
    if torch.endswith("+cpu"):
        idle = words("doctor.gpu_idle", cards=cards, version=torch)
        return Finding(part=words("doctor.gpu"), found=idle, is_ok=False, is_needed=False)
    return Finding(part=words("doctor.gpu"), found=cards)
