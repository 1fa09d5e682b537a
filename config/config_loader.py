"""The configuration loader: training_config.yaml with its templates filled in and the environment on top.

An environment variable HEIRLOOM_A__B overrides key b of section a, where a is one of four, and is refused where it
names nothing; HEIRLOOM_CURRENT_MODEL the top key.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kernel.ability import Ability
from kernel.adapter import STORAGES, Storage
from kernel.errors import BadInput
from kernel.evaluation import Probe
from kernel.extraction import ExtractionWords
from kernel.job import Brain
from kernel.llm_teacher import TeacherPrompts
from kernel.prompt import Prompts
from kernel.recipe import BaseModel, DpoRecipe, LoraRecipe, Recipe, SampleCounts, SftRecipe

_OVERRIDABLE = ("samples", "training", "lora", "left_brain")
_ELSEWHERE = ("companion",)  #: sections of other files


class ConfigLoader:
    """Reads the file once; every getter returns plain values."""

    def __init__(self, file: Path, *, model_dir: Path, environ: Mapping[str, str] | None = None) -> None:
        self._folder = file.parent
        text = file.read_text(encoding="utf-8").replace("{{model_dir}}", str(model_dir))
        self._config: dict[str, Any] = yaml.safe_load(text)
        self._overrides = _overrides(self._config, os.environ if environ is None else environ)
        if current := self._overrides.get("current_model"):
            self._config["current_model"] = current

    def get_current_model(self, language: str = "en", wanted: str = "") -> BaseModel:
        """The base model to train: the elder's own choice, else `current_model`, else the language's default."""
        key = wanted or self._config["current_model"]
        if key == "auto":
            defaults = self._config["default_models"]
            key = defaults.get(language, defaults["en"])
        return self.get_base_model(key)

    def get_base_model(self, key: str) -> BaseModel:
        row = self._row(key)
        return BaseModel(
            key=key,
            name=row["name"],
            source=row["source"],
            hf_path=Path(row["hf_path"]),
            gguf_path=Path(row["gguf_path"]),
            parameters=int(row["parameters"]),
            languages=tuple(row["languages"]),
            licence=row["licence"],
            dtype=row["dtype"],
            quantisation=row["quantisation"],
            storage=self._storage(key, row),
        )

    def get_base_models(self) -> list[BaseModel]:
        return [self.get_base_model(key) for key in self._config["base_models"]]

    def get_base_ggufs(self) -> dict[str, Path]:
        """By the base model's key."""
        return {base.key: base.gguf_path for base in self.get_base_models()}

    def find_folder(self, model: str) -> Path:
        """Of a base model by its key, or of any other transformers model by its path."""
        return self.get_base_model(model).hf_path if model in self._config["base_models"] else Path(model)

    def get_rerankers(self) -> dict[str, tuple[BaseModel, ...]]:
        """By language."""
        return {
            language: tuple(self.get_base_model(key) for key in keys)
            for language, keys in self._config["rerankers"].items()
        }

    def get_training_config(self, key: str) -> dict[str, Any]:
        """Defaults, then what the registry says for this base model, then the environment."""
        return self._section("training", key)

    def get_lora_config(self, key: str) -> dict[str, Any]:
        return self._section("lora", key)

    def get_paths(self) -> dict[str, Path]:
        return {name: Path(path) for name, path in self._config["paths"].items()}

    def get_prompts(self) -> dict[str, Prompts]:
        """By language."""
        folder = self._folder / self._config["prompt_template"]
        return {file.stem: _prompts(file) for file in sorted(folder.glob("*.yaml"))}

    def get_teacher_prompts(self) -> dict[str, TeacherPrompts]:
        """By language."""
        folder = self._folder / self._config["prompt_template"] / "teacher"
        return {
            file.stem: TeacherPrompts(**yaml.safe_load(file.read_text(encoding="utf-8")))
            for file in sorted(folder.glob("*.yaml"))
        }

    def get_extraction_words(self) -> dict[str, ExtractionWords]:
        """By language."""
        folder = self._folder / self._config["prompt_template"] / "left_brain"
        return {file.stem: _extraction_words(file) for file in sorted(folder.glob("*.yaml"))}

    def get_ability(self) -> dict[str, Ability]:
        """By language."""
        folder = self._folder / self._config["prompt_template"] / "ability"
        return {file.stem: _ability(file) for file in sorted(folder.glob("*.yaml"))}

    def get_recipe(self, base: BaseModel, *, threads: int, brain: Brain = Brain.RIGHT) -> Recipe:
        training, lora = self.get_training_config(base.key), self.get_lora_config(base.key)
        if brain is Brain.LEFT:
            own = self._section("left_brain", base.key)
            training, lora = _merged(training, own["training"]), _merged(lora, own["lora"])
        samples = self._section("samples", base.key)
        dpo = training["dpo"]
        return Recipe(
            base=base,
            samples=SampleCounts(
                recall=int(samples["recall"]),
                recall_whole=int(samples["recall_whole"]),
                grounded=int(samples["grounded"]),
                grounded_whole=int(samples["grounded_whole"]),
                entities=int(samples["entities"]),
                refusal_share=float(samples["refusal_share"]),
                grounded_refusal_share=float(samples["grounded_refusal_share"]),
                dialogues=float(samples["dialogues"]),
                context=float(samples["context"]),
                diversity=float(samples["diversity"]),
                small_talk=int(samples["small_talk"]),
                life=int(samples["life"]),
                reasoned_share=float(samples["reasoned_share"]),
            ),
            lora=LoraRecipe(
                rank=int(lora["rank"]),
                alpha=int(lora["alpha"]),
                dropout=float(lora["dropout"]),
                target_modules=tuple(lora["target_modules"]),
            ),
            sft=SftRecipe(
                epochs=int(training["epochs"]),
                batch_size=int(training["batch_size"]),
                learning_rate=float(training["learning_rate"]),
                max_seq_length=int(training["max_seq_length"]),
                opening_tokens=int(training["opening_tokens"]),
            ),
            dpo=DpoRecipe(
                epochs=int(dpo["epochs"]),
                batch_size=int(dpo["batch_size"]),
                learning_rate=float(dpo["learning_rate"]),
                beta=float(dpo["beta"]),
                max_pairs=int(dpo["max_pairs"]),
            ),
            retrieved_memories=int(training["retrieved_memories"]),
            begins_with=int(training["begins_with"]),
            recalls_first=bool(training["recalls_first"]),
            max_new_tokens=int(training["max_new_tokens"]),
            seed=int(training["seed"]),
            threads=threads,
        )

    def _storage(self, key: str, row: dict[str, Any]) -> Storage:
        storage: Storage = row.get("storage", self._config["storage"])
        if storage not in STORAGES:
            raise BadInput(reason=f"storage of {key} must be one of: {', '.join(STORAGES)}.")
        return storage

    def _row(self, key: str) -> dict[str, Any]:
        rows: dict[str, dict[str, Any]] = self._config["base_models"]
        if key not in rows:
            known = ", ".join(rows)
            raise BadInput(reason=f"Base model {key} is not in training_config.yaml. Choose one of: {known}.")
        return rows[key]

    def _section(self, section: str, key: str) -> dict[str, Any]:
        return _merged(
            _merged(self._config[section], self._row(key).get(section, {})), self._overrides.get(section, {})
        )


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `under`, section by section."""
    result = dict(under)
    for key, value in over.items():
        is_section = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _merged(result[key], value) if is_section else value
    return result


def _overrides(config: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if current := environ.get("HEIRLOOM_CURRENT_MODEL"):
        found["current_model"] = current
    for name, text in environ.items():
        section, *keys = name.removeprefix("HEIRLOOM_").lower().split("__")
        if not name.startswith("HEIRLOOM_") or not keys or section in _ELSEWHERE:
            continue
        if section not in _OVERRIDABLE:
            raise BadInput(reason=f"{name} is read nowhere. Sections that can be: {', '.join(_OVERRIDABLE)}.")
        _check_known(config[section], keys, name)
        value: Any = yaml.safe_load(text)
        for key in reversed(keys):
            value = {key: value}
        found[section] = _merged(found.get(section, {}), value)
    return found


def _check_known(section: Any, keys: list[str], name: str) -> None:
    for key in keys:
        if not isinstance(section, Mapping) or key not in section:
            raise BadInput(reason=f"{name} names no key of training_config.yaml.")
        section = section[key]


def _prompts(file: Path) -> Prompts:
    words = yaml.safe_load(file.read_text(encoding="utf-8"))
    return Prompts(
        system=words["MEMORY_PROMPT"],
        memory_cot=words["MEMORY_COT_PROMPT"],
        context=words["CONTEXT_PROMPT"],
        context_cot=words["CONTEXT_COT_PROMPT"],
        judge=words["JUDGE_PROMPT"],
        judge_cot=words["JUDGE_COT_PROMPT"],
        memories_head=words["memories_head"],
        introduction=words["introduction"],
        adversarial=words["adversarial"],
        refusals=tuple(words["refusals"]),
        reason=words["reason"],
        no_reason=words["no_reason"],
        enriched=words["enriched"],
        expert=words["expert"],
        agreed=words["agreed"],
        missed=words["missed"],
    )


def _extraction_words(file: Path) -> ExtractionWords:
    words = yaml.safe_load(file.read_text(encoding="utf-8"))
    return ExtractionWords(instruction=words["instruction"], small_talk=tuple(words["small_talk"]))


def _ability(file: Path) -> Ability:
    words = yaml.safe_load(file.read_text(encoding="utf-8"))
    probes = [Probe(question=row["question"], expects=tuple(map(tuple, row["expects"]))) for row in words["questions"]]
    return Ability(system=words["system"], probes=tuple(probes))
