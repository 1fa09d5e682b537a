"""llama.cpp's converter: from a transformers folder to a GGUF.

No package carries `convert_hf_to_gguf.py`; the source distribution of llama-cpp-python does, at exactly the
version that its runtime was built from, so it is taken from there once and run as a subprocess.

    python -m adapters.converter vendor/llama.cpp
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from adapters.program import tied_to_parent
from kernel.errors import StageFailed
from kernel.ports import Report

_PACKAGE = "llama-cpp-python"
CONVERTER_ONLY = "llama_cpp"  #: subfolder of a transformers folder, for the converter alone
_MARKER = "heirloom.json"
_WANTED = ("convert_hf_to_gguf.py", "convert_lora_to_gguf.py", "LICENSE", "conversion/", "gguf-py/gguf/")
_MAGIC = b"GGUF"


def prepare_converter(folder: Path, report: Report) -> Path:
    """Make `folder` hold the converter of the installed llama-cpp-python; about 6 s the first time.

    Raises StageFailed when pip cannot get the source distribution.
    """
    if not is_prepared(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".converter-") as temporary:
            sdist = _download(Path(temporary))
            report(0.8)
            aside = Path(temporary) / "llama.cpp"
            _unpack(sdist, aside)
            marker = {"version": version(_PACKAGE), "sdist": _sha256(sdist), "files": _digest(aside)}
            (aside / _MARKER).write_text(json.dumps(marker, indent=1), encoding="utf-8")
            shutil.rmtree(folder, ignore_errors=True)
            aside.rename(folder)
    report(1.0)
    return folder


def is_prepared(folder: Path) -> bool:
    """Whether the converter is there, of the installed version, and untouched."""
    try:
        marker = json.loads((folder / _MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(marker["version"] == version(_PACKAGE) and marker["files"] == _digest(folder))


def convert(converter: Path, hf_folder: Path, gguf: Path, *, outtype: str, log: Path) -> None:
    """Write `hf_folder` as `gguf` (outtype "f16", "bf16" or "f32"); the converter's words go to `log`.

    The converter writes the folder's name into the GGUF, so it is shown links in a folder whose name is
    always the same: equal folders give equal bytes. Raises StageFailed.
    """
    with tempfile.TemporaryDirectory(prefix="heirloom-") as temporary:
        shown = _links(hf_folder, Path(temporary) / "heirloom")
        _run(converter / "convert_hf_to_gguf.py", [str(shown), "--outtype", outtype], gguf, log)


def convert_adapter(converter: Path, adapter: Path, gguf: Path, *, base: Path, log: Path) -> None:
    """Write a peft LoRA adapter as a GGUF; `base` is the transformers folder that it was trained on.

    In q8_0, which the converter leaves at f16 where a rank is no multiple of 32. Of 261 tokens of a trained elder's
    samples 260 were the merged model's own next one, as with f16, at half the size and 0.85 of the time a token.
    Equal adapters give equal bytes, wherever they lie. Raises StageFailed.
    """
    with tempfile.TemporaryDirectory(prefix="heirloom-") as temporary:
        shown = _links(adapter, Path(temporary) / "heirloom")
        arguments = [str(shown), "--outtype", "q8_0", "--base", str(base.resolve())]
        _run(converter / "convert_lora_to_gguf.py", arguments, gguf, log)


def _run(program: Path, arguments: Sequence[str], gguf: Path, log: Path) -> None:
    command = tied_to_parent([sys.executable, str(program), *arguments, "--outfile", str(gguf.resolve())])
    with log.open("ab") as words:
        done = subprocess.run(command, env=_environment(), stdout=words, stderr=words, check=False)
    if done.returncode != 0 or not _is_gguf(gguf):
        raise StageFailed(stage="convert_gguf", reason=f"llama.cpp's converter ended with {_last_line(log)}")


def _links(hf_folder: Path, shown: Path) -> Path:
    shown.mkdir()
    for folder in (hf_folder, hf_folder / CONVERTER_ONLY):
        for file in folder.iterdir() if folder.is_dir() else ():
            if file.is_file():
                (shown / file.name).symlink_to(file.resolve())
    return shown


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip()[:200] if lines else "no word"


def _environment() -> dict[str, str]:
    """The converter takes its own gguf-py first; nothing may come from the hub."""
    return {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONHASHSEED": "0"}


def _is_gguf(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == _MAGIC


def _download(folder: Path) -> Path:
    """Through pip, for its index, find-links, proxy and certificates. pip asks for metadata: no compiling."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", _PACKAGE]
    command += ["--dest", str(folder), f"{_PACKAGE}=={version(_PACKAGE)}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = sorted(folder.glob("*.tar.gz"))
    if done.returncode != 0 or not found:
        why = (done.stderr.strip().splitlines() or ["no source distribution"])[-1]
        raise StageFailed(
            stage="convert_gguf",
            reason=f"pip could not download the source of {_PACKAGE} ({why}). "
            "On a machine without a network, put its .tar.gz into a folder and set PIP_FIND_LINKS to it.",
        )
    return found[0]


def _unpack(sdist: Path, folder: Path) -> None:
    """Only what converting needs: about 4 MB of 300."""
    with tarfile.open(sdist) as archive:
        for member in archive:
            _, _, name = member.name.partition("/vendor/llama.cpp/")
            if member.isfile() and name.startswith(_WANTED) and not _is_outside(name):
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                content = archive.extractfile(member)
                target.write_bytes(content.read() if content else b"")


def _is_outside(name: str) -> bool:
    return ".." in Path(name).parts or Path(name).is_absolute()


def _digest(folder: Path) -> str:
    """Of every file's name and bytes, but the marker and what Python compiled."""
    sha = sha256()
    for path in _files(folder):
        sha.update(f"{path.relative_to(folder).as_posix()}={_sha256(path)}\n".encode())
    return sha.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != _MARKER and "__pycache__" not in path.parts:
            yield path


def _sha256(path: Path) -> str:
    sha = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()


if __name__ == "__main__":
    print(prepare_converter(Path(sys.argv[1]), lambda fraction, **facts: None))
