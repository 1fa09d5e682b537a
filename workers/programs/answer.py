"""Greedy answers of a GGUF.

Request: gguf, adapter (a GGUF, or ""), prompts (message lists), threads, max_tokens, schema (of JSON, or null).
Result: {"answers": [str]}. With a schema the answers come one at a time, each held to it by a grammar.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from adapters.context import Context, Voice
from adapters.greedy import greedy_answers
from adapters.local_model import LocalModel
from adapters.program import Say, program_main
from kernel.ports import ChatOptions
from kernel.sample import Message

_CONTEXT_TOKENS = 4096  #: as the left brain has them when it is used


def run(request: dict[str, Any], say: Say) -> dict[str, Any]:
    prompts = [[Message(**message) for message in prompt] for prompt in request["prompts"]]
    gguf, threads, max_tokens = Path(request["gguf"]), request["threads"], request["max_tokens"]
    adapter = Path(request["adapter"]) if request["adapter"] else None

    def progress(done: int, total: int) -> None:
        say(done / total, answered=done, asked=total)

    if schema := request["schema"]:
        answers = []
        for answer in _bound_answers(gguf, adapter, prompts, schema, threads=threads, max_tokens=max_tokens):
            answers.append(answer)
            progress(len(answers), len(prompts))
        return {"answers": answers}
    answers = greedy_answers(
        gguf, prompts, threads=threads, max_tokens=max_tokens, adapter=adapter, on_progress=progress
    )
    return {"answers": answers}


def _bound_answers(
    gguf: Path,
    adapter: Path | None,
    prompts: Sequence[Sequence[Message]],
    schema: Mapping[str, object],
    *,
    threads: int,
    max_tokens: int,
) -> Iterator[str]:
    options = ChatOptions(temperature=0.0, max_tokens=max_tokens)
    with closing(LocalModel(gguf)) as model:
        voice = Voice(adapter=model.adapter(adapter) if adapter else None)
        with closing(Context(model, context_tokens=_CONTEXT_TOKENS, threads=threads)) as context:
            for prompt in prompts:
                told = context.answer(prompt, voice=voice, options=options, schema=schema)
                yield "".join(told)


if __name__ == "__main__":
    program_main(run)
