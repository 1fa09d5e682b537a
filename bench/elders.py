"""Many elders on one base: `python -m bench elders [--elders 50] [--families 8] [--seconds 120] [--threads N]`.

The embedded engine with SmolLM2-135M. The elders' adapters are made, not trained (see bench/secret_words.py): each
elder begins the answer with a secret word, so an answer from another elder's adapter is seen, and each has a name of
their own in the system prompt, so an answer from another elder's cache may be too.

Memory: what the process holds (RSS) after each further elder has answered. First token: warm (the same elder's next
question), after a swap (another elder spoke from the seat in between), cold (the adapter read from disk), and
llama.cpp called directly with the same base, adapter and prompts, in turn.
"""

import argparse
import shutil
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import llama_cpp
import psutil

from adapters.llama_cpp import LlamaCppEngine
from bench.chat import _version as blank_version
from bench.secret_words import Elder, make_elders
from config.config_loader import ConfigLoader
from config.settings import read_settings
from kernel.ids import ElderId, ModelName
from kernel.memory import Memory, memory_id
from kernel.ports import ChatOptions
from kernel.prompt import chat_prompt, system_prompt
from kernel.recipe import BaseModel
from kernel.sample import Message
from kernel.version import ModelVersion

QUESTION = "What is your secret word?"
CONTEXT = 4096
MERGED = 3  #: elders with weights of their own, for comparison
ROUNDS = 8
OPTIONS = ChatOptions(temperature=0.0, max_tokens=12)
TOLD = (
    "In {} I was born in the lane behind the silk market, and my mother sold noodles at the gate until the flood came.",
    "In the spring of {} I walked to the harbour each morning and mended nets with my uncle for two yuan a day.",
)


def main() -> None:
    settings = read_settings()
    parser = argparse.ArgumentParser(prog="python -m bench elders", description=__doc__)
    parser.add_argument("--elders", type=int, default=50)
    parser.add_argument("--families", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--threads", type=int, default=settings.threads)
    wanted = parser.parse_args()
    config = ConfigLoader(settings.config_file, model_dir=settings.model_dir)
    base = config.get_base_model("smollm2-135m-instruct")
    with tempfile.TemporaryDirectory(prefix="heirloom-bench-") as folder:
        bench = Bench(Path(folder), config, base, wanted.elders, wanted.threads)
        print(f"{wanted.elders} elders on {base.name} {base.quantisation}, {wanted.threads} threads")
        with closing(bench.engine):
            bench.memory()
            bench.first_token()
            bench.families(wanted.families, wanted.seconds)


class Bench:
    def __init__(self, folder: Path, config: ConfigLoader, base: BaseModel, count: int, threads: int) -> None:
        self._words, self._folder, self._base, self._threads = config.get_prompts()["en"], folder, base, threads
        self.engine = LlamaCppEngine(
            folder / "gguf",
            threads=threads,
            context_tokens=CONTEXT,
            bases={base.key: base.gguf_path},
            memory_bytes=1 << 40,
            wait_seconds=600,
        )
        prompts = [self.prompt(number, QUESTION) for number in range(count)]
        self.elders = make_elders(base.hf_path, prompts, folder)
        for number, elder in enumerate(self.elders):
            self.engine.register(self.version(number), elder.adapter)
        self.alone: list[str] = []  # what each says when nobody else is there

    def prompt(self, number: int, question: str, turn: int = 0) -> tuple[Message, ...]:
        """As in chat, the memories change with the question: only the system message stays."""
        told = [text.format(1930 + turn) for text in TOLD]
        memories = [
            Memory(id=memory_id("", text), question="", answer=text, language="en", personal_data=()) for text in told
        ]
        system = system_prompt(self._words, f"Grandmother {number}")
        return chat_prompt(self._words, system=system, question=question, memories=memories)

    def version(self, number: int, *, is_merged: bool = False) -> ModelVersion:
        name = f"afs_elder_{'merged' if is_merged else 'bench'}{number}"
        made = replace(blank_version(), elder=ElderId(name), name=ModelName(name), base=self._base.key)
        return made if is_merged else replace(made, storage="adapter")

    def ask(self, version: ModelVersion, prompt: tuple[Message, ...]) -> str:
        return "".join(self.engine.chat(version, prompt, OPTIONS))

    # ---- memory -----------------------------------------------------------------------------------------

    def memory(self) -> None:
        held = [_resident()]
        for number, elder in enumerate(self.elders):
            self.alone.append(self.ask(self.version(number), elder.prompt))
            held.append(_resident())
        merged = [held[-1]]
        for number in range(MERGED + 1):
            own = self._folder / "merged.gguf"
            shutil.copyfile(self._base.gguf_path, own)
            version = self.version(number, is_merged=True)
            self.engine.register(version, own)
            own.unlink()
            self.ask(version, self.prompt(number, QUESTION))
            merged.append(_resident())
        for number in range(MERGED + 1):
            self.engine.delete(self.version(number, is_merged=True))
        told = sum(alone.strip().startswith(elder.word) for alone, elder in zip(self.alone, self.elders, strict=True))
        further = (held[-1] - held[1]) / (len(held) - 2)
        print(f"secret word told when alone: {told} of {len(self.elders)}")
        print(f"memory of the first elder, base and seat with it:   {held[1] - held[0]:>7.1f} MB")
        print(f"memory of each further elder, as an adapter:        {further:>7.1f} MB   (to reach: 25)")
        print(f"memory of each further elder, merged:               {(merged[-1] - merged[1]) / MERGED:>7.1f} MB")

    # ---- first token ------------------------------------------------------------------------------------

    def first_token(self) -> None:
        """Each kind in turn, so that what else the machine does meets all of them."""
        adapter = self.elders[0].adapter
        direct = llama_cpp.Llama(
            str(self._base.gguf_path),
            lora_path=str(adapter),
            n_ctx=CONTEXT,
            n_threads=self._threads,
            n_threads_batch=self._threads,
            verbose=False,
        )
        kinds: dict[str, Callable[[int], float]] = {
            "llama.cpp, warm": lambda turn: _first(_direct(direct, self.prompt(0, _question(turn), turn))),
            "warm": lambda turn: self._first(0, turn),
            "after a swap": lambda turn: self._first(0, turn, before=self._other_speaks),
            "cold adapter": lambda turn: self._first(0, turn, before=self._forget),
            "cold base": lambda turn: self._first(0, turn, before=self.engine.close),
        }
        times: dict[str, list[float]] = {kind: [] for kind in kinds}
        for turn in range(ROUNDS + 1):
            for kind in ("llama.cpp, warm", "warm") if turn % 2 else ("warm", "llama.cpp, warm"):
                times[kind].append(kinds[kind](turn))
            for kind in ("after a swap", "cold adapter", "cold base"):
                times[kind].append(kinds[kind](turn))
                self._first(0, turn + ROUNDS)  # warm again for what comes next
        direct.close()
        middle = {kind: 1000 * statistics.median(rows[1:]) for kind, rows in times.items()}
        print(f"\nfirst token, medians of {ROUNDS}")
        for kind, milliseconds in middle.items():
            print(f"{kind:20}{milliseconds:>10.1f} ms")
        ratio = middle["warm"] / middle["llama.cpp, warm"]
        print(f"{'warm / llama.cpp':20}{ratio:>10.2f} x    (to reach: 1.3)")
        swap = middle["after a swap"] - middle["warm"]
        print(f"{'what a swap adds':20}{swap:>10.1f} ms   (to reach: 150)")

    def _first(self, number: int, turn: int, before: Callable[[], object] = lambda: None) -> float:
        before()
        return _first(self.engine.chat(self.version(number), self.prompt(number, _question(turn), turn), OPTIONS))

    def _other_speaks(self) -> None:
        """From the very seat: it is the only one that was ever needed at once."""
        self.ask(self.version(1), self.elders[1].prompt)

    def _forget(self) -> None:
        self.engine.voices.forget(self.version(0).tag, at_once=False)

    # ---- many families ----------------------------------------------------------------------------------

    def families(self, count: int, seconds: float) -> None:
        """Each goes round the elders from another one on, so that no two mostly ask the same."""
        end, told, waits = time.monotonic() + seconds, Counter[str](), []

        def talk(family: int) -> None:
            turn = family * len(self.elders) // count
            while time.monotonic() < end:
                number = turn % len(self.elders)
                began = time.monotonic()
                told[self._verdict(number, self.elders[number])] += 1
                waits.append(time.monotonic() - began)
                turn += 1

        threads = [threading.Thread(target=talk, args=(family,)) for family in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        crossed = told["another elder's word"]
        print(f"\n{count} families at once for {seconds:.0f} s: {sum(told.values())} answers")
        print(f"errors {told['error']}, another elder's word {crossed}, own word missing {told['no word']}")
        print(f"word for word as when alone: {told['as alone']} of {sum(told.values())}")
        middle, most = statistics.median(waits), max(waits)
        print(f"a whole answer, with waiting in line: median {middle:.2f} s, most {most:.2f} s")

    def _verdict(self, number: int, elder: Elder) -> str:
        try:
            said = self.ask(self.version(number), elder.prompt)
        except Exception as error:
            print(f"error: {type(error).__name__}: {error}")
            return "error"
        if not said.strip().startswith(elder.word):
            others = tuple(one.word for one in self.elders)
            return "another elder's word" if said.strip().startswith(others) else "no word"
        return "as alone" if said == self.alone[number] else "own word"


def _question(turn: int) -> str:
    return f"Tell me again, what happened when you were {20 + turn} years old?"


def _first(pieces: Iterator[str]) -> float:
    began = time.perf_counter()
    next(pieces, "")
    seconds = time.perf_counter() - began
    close = getattr(pieces, "close", None)
    if close:
        close()
    return seconds


def _direct(model: llama_cpp.Llama, prompt: tuple[Message, ...]) -> Iterator[str]:
    messages = [{"role": message.role, "content": message.content} for message in prompt]
    chunks = model.create_chat_completion(
        messages,  # type: ignore[arg-type]
        temperature=0.0,
        max_tokens=OPTIONS.max_tokens,
        stream=True,
    )
    for chunk in chunks:
        text = chunk["choices"][0]["delta"].get("content")  # type: ignore[index,union-attr]
        if text:
            yield text


def _resident() -> float:
    """MB."""
    return psutil.Process().memory_info().rss / 1e6
