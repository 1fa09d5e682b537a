"""The crew: processes that each compute the gradient of a share of every batch, on a CPU.

A step of a small model is thousands of small multiplications. Threads that share each of them wait for each other
most of the time (SmolLM2-135M, LoRA, batches of four: two threads are 1.05 to 1.2 times as fast as one); processes
that share the batch wait once a step. The frozen weights are this process's own, seen through fork; the trained ones
and the gradients lie in shared memory.
"""

import ctypes
import os
import signal
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import torch

Batch = dict[str, torch.Tensor]  #: each (rows, tokens)
Gradient = Callable[[Batch, int], float]  #: adds the gradient of a batch to each parameter's, and returns its loss

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_FORK = get_context("fork")


def crew_size(threads: int, batch_size: int) -> int:
    """How many processes share a batch of so many rows. A GPU needs none."""
    return 1 if torch.cuda.is_available() else max(1, min(threads, batch_size))


class Crew:
    """Forks when it is made: before that nothing may have run on several threads, which do not outlive a fork."""

    def __init__(
        self, gradient: Gradient, parameters: Sequence[torch.nn.Parameter], *, size: int, threads: int
    ) -> None:
        """`size` with this process; `threads` of all of them."""
        for parameter in parameters:
            parameter.data = parameter.data.share_memory_()
        self._parameters = parameters
        self._members = [_Member(gradient, parameters, threads=threads // size) for _ in range(size - 1)]
        self._busy: list[_Member] = []
        torch.set_num_threads(threads // size)

    def hand_out(self, batch: Batch, count: int) -> Batch:
        """Give the members their rows, and return those that are left for this process. `count`: answer tokens."""
        rows = len(next(iter(batch.values())))
        share = -(-rows // (len(self._members) + 1))
        shares = [{name: all[at : at + share] for name, all in batch.items()} for at in range(0, rows, share)]
        self._busy = self._members[: len(shares) - 1]
        for member, part in zip(self._busy, shares[1:], strict=True):
            member.begin(part, count)
        return shares[0]

    def collect(self) -> float:
        """Add the members' gradients to this process's; the sum of their losses."""
        return sum(member.end(self._parameters) for member in self._busy)

    def peak_memory_bytes(self) -> int:
        """Of the members; what they share with this process and have not written is counted in each."""
        return sum(member.peak_memory_bytes() for member in self._members)


class _Member:
    def __init__(self, gradient: Gradient, parameters: Sequence[torch.nn.Parameter], *, threads: int) -> None:
        self._gradients = [torch.zeros_like(parameter).share_memory_() for parameter in parameters]
        self._pipe, theirs = _FORK.Pipe()
        work = (gradient, parameters, self._gradients, self._pipe, theirs, threads)
        self._process = _FORK.Process(target=_work, args=work, daemon=True)
        self._process.start()
        theirs.close()

    def begin(self, batch: Batch, count: int) -> None:
        self._pipe.send(({name: rows.numpy() for name, rows in batch.items()}, count))

    def end(self, parameters: Sequence[torch.nn.Parameter]) -> float:
        """Raises EOFError when the member has died: the training goes on from its last checkpoint."""
        loss: float = self._pipe.recv()
        for parameter, gradient in zip(parameters, self._gradients, strict=True):
            parameter.grad = gradient.clone() if parameter.grad is None else parameter.grad.add_(gradient)
        return loss

    def peak_memory_bytes(self) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _work(
    gradient: Gradient,
    parameters: Sequence[torch.nn.Parameter],
    gradients: Sequence[torch.Tensor],
    parents: Connection,
    pipe: Connection,
    threads: int,
) -> None:
    """Until the parent has gone, however it went."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    parents.close()
    torch.set_num_threads(threads)
    while True:
        try:
            batch, count = pipe.recv()
        except EOFError:
            os._exit(0)
        loss = gradient({name: torch.from_numpy(rows) for name, rows in batch.items()}, count)
        for parameter, shared in zip(parameters, gradients, strict=True):
            if parameter.grad is not None:
                shared.copy_(parameter.grad)
                parameter.grad = None
        pipe.send(loss)
