"""`make bench`: training against plain trl, then chat against plain llama.cpp, on this machine.

With a CUDA device the training half runs on it. For a larger base there:
    python -m bench.training --base qwen2.5-1.5b-instruct
Many elders on one base; the companion's model, on a GPU where there is one; what each part of the data earns, and what
DPO adds to SFT in a training that is there already; retrieval among thousands of memories; a memoir instead of answers;
what a training asks a teacher model:
    python -m bench elders [--elders 50] [--families 8] [--seconds 120]
    python -m bench companion
    python -m bench ablation [--memories 21]
    python -m bench preference data
    python -m bench retrieval [--memories 5000]
    python -m bench memoir [--lang zh]
    python -m bench teacher
"""

import os
import shutil
import sys
from importlib import import_module

from modelserver.cli.part import GIVES_WAY

PARTS = ("training", "chat", "elders", "companion", "ablation", "preference", "retrieval", "memoir", "teacher")
USUAL = ("training", "chat")

if __name__ == "__main__":
    named = [sys.argv.pop(1)] if sys.argv[1:2] and sys.argv[1] in PARTS else list(USUAL)
    if "training" not in named:
        os.environ |= {**GIVES_WAY, **os.environ}  # as the service runs; plain trl runs as it comes
    for part in named:
        import_module(f"bench.{part}").main()
        print()
    if "training" in named and shutil.which("nvidia-smi") is None:
        print("No GPU here: the training half was run on the CPU only.")
