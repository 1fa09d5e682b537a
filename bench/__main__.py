"""`make bench`: training against plain trl, then chat against plain llama.cpp, on this machine.

With a CUDA device the training half runs on it. For a larger base there:
    python -m bench.training --base qwen2.5-1.5b-instruct
"""

import shutil

from bench import chat, training

if __name__ == "__main__":
    training.main()
    print()
    chat.main()
    if shutil.which("nvidia-smi") is None:
        print("\nNo GPU here: the training half was run on the CPU only.")
