"""A base model that is not there: what its reader is told to do."""

import pytest

from adapters.base_model_program import _how
from kernel.errors import BaseModelMissing

REQUEST = {"key": "qwen2.5-0.5b-instruct", "hf_path": "/m/base/qwen"}


def test_where_no_hub_is_asked_the_command_that_asks_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    how = _how("Qwen/Qwen2.5-0.5B-Instruct", REQUEST)
    assert how.startswith("Run 'heirloom base prepare qwen2.5-0.5b-instruct'") and "hf download" in how
    assert "请运行 heirloom base prepare qwen2.5-0.5b-instruct" in BaseModelMissing(model="q", how=how).message("zh")


def test_where_the_hub_refused_another_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    how = _how("Qwen/Qwen2.5-0.5B-Instruct", REQUEST)
    assert "hf download Qwen/Qwen2.5-0.5B-Instruct" in how
    assert "无法从 Hugging Face 下载" in BaseModelMissing(model="q", how=how).message("zh")
