"""Programs that train, merge, convert and answer, each a subprocess: `python -m workers.programs.NAME`."""
