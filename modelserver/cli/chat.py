"""Talking with an elder in the terminal: the answer as it comes, and dimly the memories that it drew on."""

from typing import Any

from rich.console import Console

from modelserver.cli.client import Client
from modelserver.cli.words import CliError, Words

Json = dict[str, Any]

TURNS = 5  #: earlier questions, with their answers, that a question is sent with


def ask(client: Client, elder: str, question: str, history: list[Json], *, console: Console, words: Words) -> str:
    """Print the answer in pieces, then its memory ids; returns it. A person's words are never markup."""
    answer, memory_ids = "", list[str]()
    for name, data in client.chat(elder, question, history):
        if name == "token":
            answer += data["text"]
            console.out(data["text"], end="", highlight=False)
        elif name in ("memories", "done"):
            memory_ids = data.get("memory_ids") or memory_ids
        elif name == "error":
            raise CliError("chat.failed", message=data.get("message", "?"))
    console.print()
    told = words("chat.memories", ids=", ".join(memory_ids)) if memory_ids else words("chat.no_memories")
    console.print(told, style="dim", markup=False, highlight=False)
    return answer


def converse(client: Client, elder: str, *, console: Console, words: Words) -> None:
    """Until an empty line, Ctrl-D or Ctrl-C. Nobody is greeted by an elder who has no model yet."""
    client.model(elder)
    console.print(words("chat.hello", elder=elder), style="dim", markup=False)
    history: list[Json] = []
    while True:
        try:
            question = console.input(words("chat.prompt"), markup=False).strip()
        except (EOFError, KeyboardInterrupt):
            console.print()
            return
        if not question:
            return
        answer = ask(client, elder, question, history, console=console, words=words)
        history += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        del history[: -2 * TURNS]
