"""Settings: where things are. Read once from the environment, frozen, and passed on as plain values.

What shapes a model is not here but in training_config.yaml; of the settings only the teacher changes a result.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import psutil
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Every field is an environment variable, HEIRLOOM_<NAME>, but OLLAMA_HOST which is Ollama's own."""

    model_config = SettingsConfigDict(env_prefix="HEIRLOOM_", frozen=True, extra="ignore", populate_by_name=True)

    data_dir: Path = ROOT / "data"  #: artefacts, logs, and the embedded stores' files
    model_dir: Path = ROOT / "models"  #: base/ adapters/ gguf/
    config_file: Path = ROOT / "config" / "training_config.yaml"
    llama_cpp_dir: Path = ROOT / "vendor" / "llama.cpp"  #: the converter, taken from the llama-cpp-python sdist

    host: str = "127.0.0.1"
    port: int = 8000
    api_url: str = ""  #: where the command line finds the API; "" for http://{host}:{port}
    api_key: str = Field(default="", repr=False)  #: the command line's; "" for the one that `heirloom up` kept

    mongo_url: str = Field(default="", repr=False)  #: "" for the embedded store
    mongo_database: str = "heirloom"
    redis_url: str = Field(default="", repr=False)  #: "" for the embedded Redis
    chroma_url: str = ""  #: "" for the embedded Chroma
    engine: str = ""  #: "llama_cpp", "ollama" or "vllm"; "" for Ollama or vLLM where one is set, else the first
    ollama_host: str = Field(default="", validation_alias="OLLAMA_HOST")  #: as a URL; "" for embedded llama.cpp

    ollama_keep_alive: str = Field(default="30m", pattern=r"^-?(\d+(\.\d+)?(ms|s|m|h))+$")  #: in its memory
    vllm_url: str = Field(default="", pattern=r"^$|^https?://")  #: vLLM's OpenAI-compatible server; "" for none
    vllm_key: str = Field(default="", repr=False)  #: its --api-key
    vllm_base: str = ""  #: key of the base model that it serves: elders trained on another are refused early
    vllm_adapters_path: str = ""  #: {model_dir}/adapters as vLLM sees it; "" for the same path
    vllm_answers_at_once: int = Field(default=8, ge=1)  #: of live talks, an elder's each: as its --max-loras
    vllm_left_brain: str = "left_brain"  #: the adapter that extracts
    vllm_right_brain: str = "right_brain"  #: the adapter that talks

    teacher_gguf: str = ""  #: path of a model in this process as the teacher
    #: of an OpenAI-compatible endpoint as the teacher; with neither, the built-in one
    teacher_url: str = Field(default="", repr=False)
    teacher_key: str = Field(default="", repr=False)
    teacher_model: str = ""
    #: an elder's own left brain, once it is trained, writes the notes in the teacher's place
    teacher_retired: bool = False
    teacher_calls_a_minute: int = 0  #: 0: as many as the endpoint takes
    teacher_max_calls: int = 5_000  #: of one training; 0: no limit
    teacher_max_tokens: int = 5_000_000  #: read and written, of one training; 0: no limit

    companion: Literal["off", "own", "transformers"] = "own"  #: the elder's own model, or a large one by transformers
    companion_url: str = ""  #: of the large one's process; "" for the embedded one
    companion_key: str = Field(default="", repr=False)  #: that process's own
    funasr_url: str = ""  #: ws://...:10095 of a FunASR server, to hear with; "" for the embedded one, English only
    sovits_url: str = ""  #: http://...:9880 of a GPT-SoVITS server, to speak with; "" for the embedded one
    sovits_voices: str = "static"  #: the folder of the emotions' recordings, on that server

    threads: int = Field(default_factory=lambda: os.cpu_count() or 1)
    worker_processes: int = 2
    lease_seconds: float = 15.0
    heartbeat_seconds: float = 1.0
    sweep_seconds: float = 3.0
    max_attempts: int = 5  #: of one stage, before its job fails

    min_memories: int = 5  #: fewer cannot be trained on
    max_answer_bytes: int = 200_000
    max_import_bytes: int = 20_000_000
    #: of elders' models that one process holds; the one that rested longest makes room
    model_memory_bytes: int = Field(default_factory=lambda: psutil.virtual_memory().total // 2)
    answers_at_once: int = Field(default=2, ge=1)  #: that one base model computes, and of live talks; the others wait
    context_tokens: int = 4096  #: of each
    kept_versions: int = 1  #: of an elder's model, before the one in use: to compare with and to roll back to

    @field_validator("teacher_gguf")
    @classmethod
    def _whole_path(cls, path: str) -> str:
        """Processes start in another folder."""
        return str(Path(path).expanduser().resolve()) if path else ""

    @field_validator("ollama_host")
    @classmethod
    def _ollama_url(cls, host: str) -> str:
        """As Ollama itself reads it: scheme and port may be missing, and 0.0.0.0 is this machine."""
        if not host or "://" in host:
            return host
        if urlsplit(f"//{host}").port is None:
            host += ":11434"
        return "http://" + host.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - to be connected to, not to listen on

    @property
    def teacher(self) -> dict[str, Any]:
        """What `open_teacher` takes."""
        return {
            "gguf": self.teacher_gguf,
            "url": self.teacher_url,
            "key": self.teacher_key,
            "model": self.teacher_model,
            "calls_a_minute": self.teacher_calls_a_minute,
            "threads": self.threads,
            "context_tokens": self.context_tokens,
        }

    @property
    def is_teacher_remote(self) -> bool:
        """Whether an elder's words leave this machine to be taught from: then their consent is needed."""
        is_asked = bool(self.teacher_url) and not self.teacher_gguf
        return is_asked and urlsplit(self.teacher_url).hostname not in ("127.0.0.1", "localhost", "::1")

    def answers_at_once_of(self, engine: str) -> int:
        """How many live talks the engine answers at once."""
        return self.vllm_answers_at_once if engine == "vllm" else self.answers_at_once

    @property
    def companion_place(self) -> tuple[str, int]:
        """Where its process listens: on every address when its URL names another host, as in a container."""
        url = urlsplit(self.companion_url)
        is_here = url.hostname in (None, "127.0.0.1", "localhost")
        return ("127.0.0.1" if is_here else "0.0.0.0"), url.port or 8100  # noqa: S104

    @property
    def url(self) -> str:
        return self.api_url or f"http://{self.host}:{self.port}"

    @property
    def artifacts_dir(self) -> Path:
        return self.data_dir / "artifacts"

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def adapters_dir(self) -> Path:
        return self.model_dir / "adapters"

    @property
    def gguf_dir(self) -> Path:
        return self.model_dir / "gguf"


@lru_cache(maxsize=1)
def read_settings() -> Settings:
    """The process's settings; the environment is read at the first call."""
    return Settings()
