"""The app: `uvicorn --factory modelserver.app:create_app`. API documentation at /docs."""

from fastapi import FastAPI

from config.logs import set_up_logs
from config.settings import read_settings
from modelserver.companion_parts import open_companion
from modelserver.openai import completions, embeddings, files, fine_tuning
from modelserver.openai import models as openai_models
from modelserver.problems import BodyLimit, handle_problems
from modelserver.routes import (
    biography,
    chat,
    companion,
    conversations,
    elders,
    feedback,
    graph,
    health,
    left_brain,
    models,
    page,
    provenance,
    train,
)
from modelserver.services import Services, open_services


def create_app(services: Services | None = None) -> FastAPI:
    """With no services given, those that the environment's settings name."""
    if services is None:
        settings = read_settings()
        set_up_logs("modelserver", settings.logs_dir)
        services = open_services(settings)
    app = FastAPI(
        title="Heirloom 传家之宝",
        description="An elder's memories become a model to talk with. 老人的记忆，变成可以交谈的模型。",
        version="0.1.0",
    )
    app.state.services = services
    app.state.companion = open_companion(services)
    app.add_middleware(BodyLimit, limit=services.settings.max_import_bytes)
    handle_problems(app)
    for module in (
        elders,
        biography,
        graph,
        train,
        chat,
        companion,
        conversations,
        feedback,
        models,
        left_brain,
        provenance,
        health,
        page,
    ):
        app.include_router(module.router)
    for module in (openai_models, completions, embeddings, files, fine_tuning):
        app.include_router(module.router)
    return app
