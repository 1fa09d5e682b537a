"""How the tiny model is trained: a few steps of everything. It needs no torch."""

from pathlib import Path

from kernel.recipe import BaseModel, DpoRecipe, LoraRecipe, Recipe, SampleCounts, SftRecipe


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
            small_talk=1,
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
