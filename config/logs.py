"""Logs: structured lines on stdout, and the same lines in one file a day. Events and ids, never a person's words."""

import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

import structlog


def set_up_logs(service: str, folder: Path) -> None:
    """Lines go to stdout and to `{folder}/{service}_YYYYMMDD.log` (UTC)."""
    folder.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout), DailyFile(service, folder)]
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=handlers, force=True)
    for noisy in ("httpx", "httpcore", "openai", "chromadb", "urllib3", "celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


class DailyFile(logging.Handler):
    """A new file when the day changes; each line is one append, so several processes can share the file."""

    def __init__(self, service: str, folder: Path) -> None:
        super().__init__()
        self._service, self._folder = service, folder

    def emit(self, record: logging.LogRecord) -> None:
        day = datetime.now(UTC).strftime("%Y%m%d")
        try:
            with (self._folder / f"{self._service}_{day}.log").open("a", encoding="utf-8") as file:
                file.write(self.format(record) + "\n")
        except OSError:
            self.handleError(record)
