"""Talking with an elder in the terminal: the answer as it comes, and dimly the memories that it drew on."""

from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from modelserver.cli.client import Client
from modelserver.cli.words import CliError, Words

Json = dict[str, Any]

TURNS = 5  #: earlier questions, with their answers, that a question is sent with


@dataclass
class Talk:
    """With `member` the service keeps it, and knows what was said before; otherwise this does, until it ends."""

    client: Client
    elder: str
    console: Console
    words: Words
    member: str = ""
    is_strict: bool = False
    conversation: str = ""
    history: list[Json] = field(default_factory=list)

    def go_on(self) -> None:
        """With the member's last conversation, if there is one."""
        if not self.member:
            raise CliError("chat.continue_whose")
        last = self.client.last_conversation(self.elder, self.member)
        if last:
            self.conversation = last["conversation_id"]
            self._say("chat.goes_on", title=last["title"])
        else:
            self._say("chat.nothing_to_continue", member=self.member, elder=self.elder)

    def ask(self, question: str) -> str:
        """Print the answer in pieces, then its memory ids; returns it. A person's words are never markup."""
        answer, done = "", Json()
        for name, data in self.client.chat(self.elder, question, self.history, **self._more()):
            if name == "token":
                answer += data["text"]
                self.console.out(data["text"], end="", highlight=False)
            elif name in ("memories", "done"):
                done |= data
            elif name == "error":
                raise CliError("chat.failed", message=data.get("message", "?"))
        self.console.print()
        self._tell(done)
        self.history += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        del self.history[: -2 * TURNS]
        return answer

    def converse(self) -> None:
        """Until an empty line, Ctrl-D or Ctrl-C. Nobody is greeted by an elder who has no model yet."""
        self.client.model(self.elder)
        self._say("chat.hello", elder=self.elder)
        while True:
            try:
                question = self.console.input(self.words("chat.prompt"), markup=False).strip()
            except (EOFError, KeyboardInterrupt):
                self.console.print()
                return
            if not question:
                return
            self.ask(question)

    def _more(self) -> Json:
        """What an ordinary question is sent without."""
        told = {"member": self.member, "conversation_id": self.conversation, "strict": self.is_strict}
        return {name: value for name, value in told.items() if value}

    def _tell(self, done: Json) -> None:
        ids = done.get("memory_ids")
        if done.get("refused"):
            self._say("chat.refused")
        elif ids:
            self._say("chat.memories", ids=", ".join(ids))
        else:
            self._say("chat.no_memories")
        if done.get("turn_id"):
            self._say("chat.kept", id=done["turn_id"])
        elif self.member and not done.get("conversation_id"):
            self._say("chat.not_kept")
        self.conversation = done.get("conversation_id") or self.conversation

    def _say(self, key: str, /, **values: object) -> None:
        self.console.print(self.words(key, **values), style="dim", markup=False, highlight=False)
