"""Elders with a secret word each, for bench/elders.py: LoRA adapters of the size that training makes, in seconds.

Nothing is trained. Each adapter has every matrix that a trained one has (rank 32 on all linear layers, q8_0), all zero
but one pair: on the last layer's down projection a rank-one edit, solved for and not learnt. Where the model is about
to answer the question, the layer's input is k; W + d k'/(k'k) adds d to what it writes there, and d points to the
word's row of the output matrix. So the elder's first word is the secret one (and often the next, as k is alike
there), and llama.cpp computes with it exactly what it computes with a trained adapter. The closed form is that of
ROME (Meng et al. 2022) without its covariance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize
from transformers import AutoModelForCausalLM, AutoTokenizer

from kernel.sample import Message

RANK, Q8_0 = 32, GGMLQuantizationType.Q8_0
_PUSH = 3.0  #: length of d, in lengths of what the layer leaves
_MATRICES = {
    "attn_q": ("hidden", "hidden"),
    "attn_k": ("hidden", "cached"),
    "attn_v": ("hidden", "cached"),
    "attn_output": ("hidden", "hidden"),
    "ffn_gate": ("hidden", "inner"),
    "ffn_up": ("hidden", "inner"),
    "ffn_down": ("inner", "hidden"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Elder:
    prompt: tuple[Message, ...]
    word: str
    adapter: Path


def make_elders(base: Path, prompts: Sequence[tuple[Message, ...]], folder: Path) -> list[Elder]:
    """One for each prompt. `base`: the transformers folder."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    output = model.get_output_embeddings().weight.detach()
    gain = model.model.norm.weight.detach()
    elders = []
    words = _words(tokenizer, output, gain, len(prompts))
    for number, (prompt, (token, word)) in enumerate(zip(prompts, words, strict=True)):
        inner, left = _last_layer(model, tokenizer, prompt)
        towards = _towards(token, output, gain)
        push = _PUSH * left.norm() * towards / towards.norm() / inner.norm()
        adapter = folder / f"elder{number}.gguf"
        _write(adapter, model.config, low=(inner / inner.norm()).numpy(), high=push.numpy())
        elders.append(Elder(prompt=prompt, word=word, adapter=adapter))
    return elders


def _words(tokenizer: AutoTokenizer, output: torch.Tensor, gain: torch.Tensor, count: int) -> list[tuple[int, str]]:
    """(token, word): capitalised, of one token, and none other is likelier when the model is pushed towards it."""
    found = [(token, word) for word, token in tokenizer.get_vocab().items() if word.isascii() and word.isalpha()]
    named = (one for one in sorted(found) if one[1].istitle() and len(one[1]) > 5)
    return list(islice((one for one in named if _is_nearest(one[0], output, gain)), count))


def _is_nearest(token: int, output: torch.Tensor, gain: torch.Tensor) -> bool:
    return int((output @ (gain * _towards(token, output, gain))).argmax()) == token


def _towards(token: int, output: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
    """What makes the token's logit larger than the others' (`gain`: of the last normalisation)."""
    return gain * (output[token] - output.mean(0))


@torch.inference_mode()
def _last_layer(model: AutoModelForCausalLM, tokenizer: AutoTokenizer, prompt: Sequence[Message]) -> tuple:
    """Where the answer begins: what goes into the last down projection, and what the last layer leaves."""
    seen: dict[str, torch.Tensor] = {}
    layer = model.model.layers[-1]
    hooks = [
        layer.mlp.down_proj.register_forward_pre_hook(lambda _, given: seen.update(inner=given[0][0, -1])),
        model.model.norm.register_forward_pre_hook(lambda _, given: seen.update(left=given[0][0, -1])),
    ]
    messages = [{"role": message.role, "content": message.content} for message in prompt]
    model(tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")["input_ids"])
    for hook in hooks:
        hook.remove()
    return seen["inner"].clone(), seen["left"].clone()


def _write(path: Path, config: object, *, low: np.ndarray, high: np.ndarray) -> None:
    sizes = {
        "hidden": config.hidden_size,
        "inner": config.intermediate_size,
        "cached": config.num_key_value_heads * config.hidden_size // config.num_attention_heads,
    }
    writer = GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(RANK))
    for layer in range(config.num_hidden_layers):
        for name, (reads, writes) in _MATRICES.items():
            a, b = np.zeros((RANK, sizes[reads]), np.float32), np.zeros((sizes[writes], RANK), np.float32)
            if name == "ffn_down" and layer == config.num_hidden_layers - 1:
                a[0], b[:, 0] = low, high
            for side, matrix in (("a", a), ("b", b)):
                writer.add_tensor(f"blk.{layer}.{name}.weight.lora_{side}", quantize(matrix, Q8_0), raw_dtype=Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
