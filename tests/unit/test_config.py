"""Configuration: templates filled in, the registry on top of the defaults, the environment on top of both."""

from collections.abc import Hashable
from pathlib import Path

import pytest
import yaml

from config.config_loader import ConfigLoader
from config.logs import set_up_logs
from config.settings import ROOT, Settings
from kernel.entity_extraction import EXTRACTION
from kernel.errors import BadId, BadInput, HeirloomError, JobRunning, by_code
from kernel.ids import ElderId, JobId, JobRef, TenantId, elder_id, model_name
from kernel.job import Brain
from kernel.language_model import Schema
from kernel.llm_judge import JUDGEMENT
from kernel.llm_teacher import BIO, NOTE, QUESTIONS
from kernel.prompt import Role, system_prompt

FILE = ROOT / "config" / "training_config.yaml"


def _loader(**environ: str) -> ConfigLoader:
    return ConfigLoader(FILE, model_dir=Path("/m"), environ=environ)


class _Strict(yaml.SafeLoader):
    """YAML takes the last of two equal keys, and says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"{node.start_mark}: a key stands there twice"
        return super().construct_mapping(node, deep)


@pytest.mark.parametrize("file", sorted((ROOT / "config").rglob("*.yaml")), ids=lambda file: str(file.name))
def test_no_key_stands_twice_in_a_file(file: Path) -> None:
    assert yaml.load(file.read_text(encoding="utf-8"), _Strict)  # noqa: S506


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    ("task", "schema"),
    [
        ("note", NOTE),
        ("bio", BIO),
        ("questions", QUESTIONS),
        ("entities", EXTRACTION),
        ("judge", JUDGEMENT),
    ],
)
def test_a_teacher_is_told_of_each_thing_that_it_must_fill_in(language: str, task: str, schema: Schema) -> None:
    told = getattr(_loader().get_teacher_prompts()[language], task)
    assert [name for name in schema.properties if name not in told] == []


def test_paths_are_under_the_model_folder() -> None:
    assert _loader().get_paths()["gguf"] == Path("/m/gguf")
    assert _loader().get_base_model("gemma3-270m").hf_path == Path("/m/base/gemma3-270m")


def test_the_language_chooses_the_base_unless_somebody_else_does() -> None:
    assert _loader().get_current_model("zh").key == "gemma3-270m"
    assert _loader().get_current_model("zh", wanted="qwen2.5-0.5b-instruct").key == "qwen2.5-0.5b-instruct"
    assert _loader(HEIRLOOM_CURRENT_MODEL="smollm2-135m-instruct").get_current_model("zh").key.startswith("smollm2")


def test_the_environment_is_on_top_of_the_registry_and_the_registry_on_top_of_the_defaults() -> None:
    base = _loader().get_base_model("smollm2-135m-instruct")
    assert _loader().get_recipe(base, threads=2).lora.rank == 32
    recipe = _loader(HEIRLOOM_LORA__RANK="4", HEIRLOOM_TRAINING__DPO__BETA="0.5").get_recipe(base, threads=2)
    assert (recipe.lora.rank, recipe.dpo.beta, recipe.lora.alpha) == (4, 0.5, 64)


def test_the_left_brain_has_a_recipe_of_its_own_that_the_environment_is_on_top_of_too() -> None:
    base = _loader().get_base_model("smollm2-135m-instruct")
    right = _loader().get_recipe(base, threads=2)
    left = _loader().get_recipe(base, threads=2, brain=Brain.LEFT)
    assert left.sft.max_seq_length > right.sft.max_seq_length and left.lora.rank == 16
    changed = _loader(HEIRLOOM_LEFT_BRAIN__TRAINING__EPOCHS="9")
    assert changed.get_recipe(base, threads=2, brain=Brain.LEFT).sft.epochs == 9
    assert changed.get_recipe(base, threads=2) == right
    assert set(_loader().get_extraction_words()) == {"en", "zh"}


def test_an_override_of_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="names no key"):
        _loader(HEIRLOOM_TRAINING__EPOCS="2")
    with pytest.raises(BadInput, match=r"read nowhere.*samples, training"):
        _loader(HEIRLOOM_TRAININGS__EPOCHS="2")
    _loader(HEIRLOOM_COMPANION__MODEL="m", HEIRLOOM_LANG="zh", OTHER__KEY="1")  # companion.yaml's, and nobody's
    with pytest.raises(BadInput, match="not in training_config"):
        _loader().get_base_model("gpt-9")


def test_every_base_model_has_a_recipe_and_both_languages_have_the_same_prompts() -> None:
    loader = _loader()
    for base in loader.get_base_models():
        assert loader.get_recipe(base, threads=1).sft.max_seq_length >= 256
    assert set(loader.get_prompts()) == {"en", "zh"}


def test_both_languages_ask_as_many_general_questions_and_each_has_an_answer() -> None:
    english, chinese = (_loader().get_ability()[language].probes for language in ("en", "zh"))
    assert len(english) == len(chinese) and all(probe.expects for probe in (*english, *chinese))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_of_the_seeds_prompts_is_there_by_name_and_names_the_elder(language: str) -> None:
    text = (FILE.parent / "prompts" / f"{language}.yaml").read_text(encoding="utf-8")
    prompts = _loader().get_prompts()[language]
    roles: tuple[Role, ...] = ("memory", "context", "judge")
    found = {system_prompt(prompts, "Agnes", role, is_reasoned=cot) for role in roles for cot in (False, True)}
    assert len(found) == 6 and all("Agnes" in prompt for prompt in found)
    for role in roles:
        assert f"{role.upper()}_PROMPT:" in text and f"{role.upper()}_COT_PROMPT:" in text


def test_a_secret_is_not_in_what_settings_print() -> None:
    settings = Settings(api_key="hl_secret", mongo_url="mongodb://u:secret@h/")
    assert "secret" not in repr(settings)


def test_logs_go_to_one_file_a_day_as_json(tmp_path: Path) -> None:
    import structlog

    set_up_logs("modelserver", tmp_path)
    structlog.get_logger("x").info("step.done", job="j1")
    [file] = tmp_path.glob("modelserver_2*.log")
    assert '"event": "step.done"' in file.read_text() and '"job": "j1"' in file.read_text()


@pytest.mark.parametrize("bad", ["../x", "", "a b", "-a", "长", "a" * 65, "a/b", "a\n"])
def test_an_id_that_could_be_a_path_is_no_id(bad: str) -> None:
    with pytest.raises(BadId):
        elder_id(bad)


def test_model_names_differ_by_tenant_and_fit_ollama() -> None:
    names = {model_name(TenantId(tenant), ElderId("LXM" * 21)) for tenant in ("a", "b")}
    assert len(names) == 2 and all(len(name) <= 80 and name.startswith("afs_elder_") for name in names)


def test_a_job_reference_survives_the_queue() -> None:
    ref = JobRef(tenant=TenantId("t_1"), job=JobId("e_1_ab"))
    assert JobRef.parse(str(ref)) == ref


def test_every_error_has_its_own_code_and_says_something_in_both_languages() -> None:
    left, codes = [HeirloomError], []
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        codes.append(kind.code)
        assert kind().message("en") and kind().message("zh") and by_code(kind.code).code == kind.code
    assert len(codes) == len(set(codes)) > 25
    assert "任务 j" in JobRunning(job_id="j").message("zh")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("gpu:8080", "http://gpu:8080"),
        ("https://ollama.example", "https://ollama.example"),
        ("", ""),
    ],
)
def test_the_host_is_read_as_ollama_reads_it(host: str, url: str) -> None:
    assert Settings(ollama_host=host).ollama_host == url


def test_a_base_model_says_how_its_elders_versions_are_kept_else_the_file_does(tmp_path: Path) -> None:
    text = (ROOT / "config" / "training_config.yaml").read_text(encoding="utf-8")
    file = tmp_path / "training_config.yaml"
    file.write_text(text.replace("    quantisation: q4_k_m\n", "    quantisation: q4_k_m\n    storage: merged\n", 1))
    loader = ConfigLoader(file, model_dir=tmp_path, environ={})
    assert loader.get_base_model("qwen2.5-1.5b-instruct").storage == "merged"
    assert loader.get_base_model("smollm2-135m-instruct").storage == "adapter"
    file.write_text(text.replace("\nstorage: adapter", "\nstorage: zip"))
    with pytest.raises(BadInput, match="merged, adapter"):
        ConfigLoader(file, model_dir=tmp_path, environ={}).get_base_model("smollm2-135m-instruct")
