"""Base models on this machine: which there are, and making one ready with a progress bar."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from adapters.base_models import BaseModelStore
from config.config_loader import ConfigLoader
from config.settings import Settings
from kernel.recipe import BaseModel
from modelserver.cli.tables import bases_table
from modelserver.cli.words import Words


def list_bases(settings: Settings, *, console: Console, words: Words) -> None:
    console.print(
        bases_table([(base, is_ready(base, settings)) for base in _config(settings).get_base_models()], words)
    )


def prepare_base(settings: Settings, key: str, *, console: Console, words: Words) -> None:
    """A second time takes milliseconds. Raises BadInput (unknown key) or BaseModelMissing (how to get it)."""
    base = _config(settings).get_base_model(key)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        row = bar.add_task(words("base.preparing", name=base.name), total=1.0)
        BaseModelStore(llama_cpp_dir=settings.llama_cpp_dir).prepare(
            base, lambda fraction, **_: bar.update(row, completed=fraction)
        )
    console.print(words("base.prepared", name=base.name, path=base.hf_path), markup=False)


def is_ready(base: BaseModel, settings: Settings) -> bool:
    return BaseModelStore(llama_cpp_dir=settings.llama_cpp_dir).is_whole(base)


def _config(settings: Settings) -> ConfigLoader:
    return ConfigLoader(settings.config_file, model_dir=settings.model_dir)
