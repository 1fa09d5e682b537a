"""The real worker, which dawdles where a test asks it to: `celery -A tests.chaos.slow_worker worker ...`.

When {data_dir}/pause-STAGE is there, that stage removes it and sleeps, its work done but not yet committed:
the worst moment to be killed.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import workers.app
from config.settings import Settings
from kernel.pipeline import Stage
from workers.wiring import Workshop, open_workshop

PAUSE_SECONDS = 120


def _slow_workshop(settings: Settings, *, owner: str) -> Workshop:
    workshop = open_workshop(settings, owner=owner)
    pipelines = {
        brain: tuple(_slow(stage, settings.data_dir) for stage in stages)
        for brain, stages in workshop.runner.pipelines.items()
    }
    return replace(workshop, runner=replace(workshop.runner, pipelines=pipelines))


def _slow(stage: Stage, folder: Path) -> Stage:
    def run(desk: Any, *read: Any) -> Any:
        made = stage.run(desk, *read)
        flag = folder / f"pause-{stage.name}"
        if flag.exists():
            flag.rename(folder / f"paused-{stage.name}")
            time.sleep(PAUSE_SECONDS)
        return made

    run_slowly: Callable[..., Any] = run
    return replace(stage, run=run_slowly)


workers.app.open_workshop = _slow_workshop
app = workers.app.app
