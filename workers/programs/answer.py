"""Greedy answers of a GGUF.

Request: gguf, prompts (message lists), threads, max_tokens. Result: {"answers": [str]}.
"""

from pathlib import Path
from typing import Any

from adapters.greedy import greedy_answers
from adapters.program import Say, program_main
from kernel.sample import Message


def run(request: dict[str, Any], say: Say) -> dict[str, Any]:
    answers = greedy_answers(
        Path(request["gguf"]),
        [[Message(**message) for message in prompt] for prompt in request["prompts"]],
        threads=request["threads"],
        max_tokens=request["max_tokens"],
        on_progress=lambda done, total: say(done / total, answered=done, asked=total),
    )
    return {"answers": answers}


if __name__ == "__main__":
    program_main(run)
