"""`make bench`: training against plain trl, then chat against plain llama.cpp, on this machine.

With a CUDA device the training half runs on it. For a larger base there:
    python -m bench.training --base qwen2.5-1.5b-instruct
The companion's model is measured by itself, on a GPU where there is one: python -m bench companion
"""

import shutil
import sys

from bench import chat, training

if __name__ == "__main__":
    if sys.argv[1:2] == ["companion"]:
        from bench import companion

        companion.main(sys.argv[2:])
        sys.exit()
    training.main()
    print()
    chat.main()
    if shutil.which("nvidia-smi") is None:
        print("\nNo GPU here: the training half was run on the CPU only.")
