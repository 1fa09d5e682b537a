"""The `heirloom` command line: a client of the REST API, and the stack that it runs on a laptop."""

from modelserver.cli.app import main

__all__ = ["main"]
