"""How much memory training needs: a formula whose constants were measured.

    weights      parameters x bytes of the dtype
    adapter      LoRA parameters x 16 bytes: fp32 weight, gradient, and Adam's two moments
    activations  batch x tokens x hidden x layers x 150 bytes; with recomputation 2, and one layer in full
    logits       batch x answer's tokens x vocabulary x 12 bytes: logits, log-probabilities, gradient, in fp32
    runtime      Python, torch, peft and trl

The form is that of Korthikanti et al., "Reducing Activation Recomputation in Large Transformer Models"
(2022), eq. 2, whose 34 bytes are for plain layers at 16 bits and full training. LoRA keeps an fp32 copy of
the input of each of seven linear layers besides. Measured on SmolLM2-135M, batch 8 x 512 tokens, r=32, on a CPU,
peak resident memory: 11.6 GB with eager attention, which is the faster one there; 7.9 GB with SDPA.
"""

from dataclasses import dataclass

from kernel.recipe import BaseModel, Recipe

_BYTES = {"float32": 4, "bfloat16": 2}
_ACTIVATION_BYTES = 150
_RUNTIME_BYTES = 600_000_000
STEP_TOKENS = 2048  #: of an SFT batch that are computed at once; a wider one is computed in pieces
_RECOMPUTING_FROM = 1_000_000_000  #: parameters
_LINEAR_LAYERS = 7  #: q, k, v, o, gate, up, down


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """The numbers of a transformer that its memory depends on, from its config.json."""

    hidden: int
    layers: int
    intermediate: int
    vocabulary: int


def training_need(base: BaseModel, recipe: Recipe, shape: Shape | None = None) -> int:
    """Bytes at the peak, when every sample is as long as allowed. `shape` None is a typical one."""
    shape = shape or typical_shape(base.parameters)
    tokens = recipe.sft.max_seq_length * sequences(recipe)
    layers = 1 if recomputes(base) else shape.layers
    kept = 2 * shape.layers if recomputes(base) else 0
    return (
        base.parameters * _BYTES[base.dtype]
        + lora_parameters(shape, recipe.lora.rank) * 16
        + tokens * shape.hidden * (layers * _ACTIVATION_BYTES + kept)
        + sequences(recipe) * recipe.max_new_tokens * shape.vocabulary * 12
        + _RUNTIME_BYTES
    )


def sequences(recipe: Recipe) -> int:
    """Computed at once; a DPO pair is two."""
    at_once = max(1, STEP_TOKENS // recipe.sft.max_seq_length)
    return max(min(recipe.sft.batch_size, at_once), 2 * recipe.dpo.batch_size)


def recomputes(base: BaseModel) -> bool:
    """Whether training recomputes activations: about 20% slower, which only larger models must pay."""
    return base.parameters >= _RECOMPUTING_FROM


def lora_parameters(shape: Shape, rank: int) -> int:
    """All seven linear layers, at most (grouped keys and values are narrower): rank x (in + out) each."""
    attention = 4 * 2 * shape.hidden
    mlp = 3 * (shape.hidden + shape.intermediate)
    return rank * (attention + mlp) * shape.layers


def typical_shape(parameters: int) -> Shape:
    """Before config.json is there: hidden x layers grows as the 0.57th power, SmolLM2-135M to Qwen2.5-14B."""
    layers = 28
    hidden = round(17_280 * (parameters / 135e6) ** 0.57 / layers)
    return Shape(hidden=hidden, layers=layers, intermediate=4 * hidden, vocabulary=150_000)
