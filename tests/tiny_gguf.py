"""A llama.cpp model of two layers, and adapters for it that each say one word: milliseconds an answer, no torch.

The first number of its hidden state is the same positive one whatever it reads (no layer writes there), so an adapter
on the output that adds that number to one word's logit, a thousandfold, says that word and no other.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFWriter

from tests.engine_fixtures import smollm2

WIDTH, INNER, LAYERS, HEADS = 64, 96, 2, 4


def make_tiny_gguf(path: Path, *, seed: int = 1) -> Path:
    vocabulary = _vocabulary()
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(vocabulary["tokens"]))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(vocabulary["tokens"])
    writer.add_token_types(vocabulary["token_type"])
    writer.add_token_merges(vocabulary["merges"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(vocabulary["chat_template"])
    for name, tensor in _tensors(len(vocabulary["tokens"]), np.random.default_rng(seed)):
        writer.add_tensor(name, tensor)
    return _write(writer, path)


def make_word_adapter(path: Path, token: int) -> Path:
    """One that says `token` of the vocabulary, again and again."""
    words = len(_vocabulary()["tokens"])
    low, high = np.zeros((1, WIDTH), np.float32), np.zeros((words, 1), np.float32)
    low[0, 0], high[token, 0] = 1.0, 1000.0
    writer = GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 1.0)
    writer.add_tensor("output.weight.lora_a", low)
    writer.add_tensor("output.weight.lora_b", high)
    return _write(writer, path)


def plain_words(count: int) -> list[tuple[int, str]]:
    """(token, text) of words that are one token and nothing's beginning: " word"."""
    tokens = _vocabulary()["tokens"]
    found = [(at, token[1:]) for at, token in enumerate(tokens) if token.startswith("Ġ") and token[1:].isalpha()]
    return [(at, word) for at, word in found if word.isascii() and len(word) > 4][:count]


def _tensors(words: int, rng: np.random.Generator) -> list[tuple[str, np.ndarray]]:
    def some(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.2, shape).astype(np.float32)

    embedding, output = some(words, WIDTH), some(words, WIDTH)
    embedding[:, 0] = 1.0
    ones = np.ones(WIDTH, np.float32)
    tensors = [("token_embd.weight", embedding), ("output.weight", output), ("output_norm.weight", ones)]
    for layer in range(LAYERS):
        writes = {"attn_output": some(WIDTH, WIDTH), "ffn_down": some(WIDTH, INNER)}
        for tensor in writes.values():
            tensor[0] = 0.0
        reads = {name: some(WIDTH, WIDTH) for name in ("attn_q", "attn_k", "attn_v")}
        reads |= {name: some(INNER, WIDTH) for name in ("ffn_gate", "ffn_up")}
        norms = {name: ones for name in ("attn_norm", "ffn_norm")}
        tensors += [(f"blk.{layer}.{name}.weight", tensor) for name, tensor in (reads | writes | norms).items()]
    return tensors


@lru_cache(maxsize=1)
def _vocabulary() -> dict[str, object]:
    """SmolLM2's own; read once, as it takes two seconds."""
    fields = GGUFReader(smollm2()).fields
    read = {name: fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "token_type", "merges")}
    return read | {"chat_template": fields["tokenizer.chat_template"].contents()}


def _write(writer: GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
