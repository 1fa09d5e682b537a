"""eSpeak NG in a process of its own, since it is GPL-3.0 and never part of ours: `python -m adapters.espeak_program`.

Reads {"text", "voice", "words_a_minute", "pitch"} as one JSON object from stdin, pitch 0-100. Writes the sample rate as
four little-endian bytes, then 16-bit samples as they are made. The calls are those of espeak-ng's speak_lib.h.
"""

import contextlib
import ctypes
import json
import sys

import espeakng_loader

_SYNCHRONOUS, _UTF8 = 2, 1
_RATE, _PITCH = 1, 3  # enum espeak_PARAMETER


def main() -> None:
    asked = json.load(sys.stdin)
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
    if rate <= 0 or library.espeak_SetVoiceByName(asked["voice"].encode()) != 0:
        sys.exit(1)
    _write(rate.to_bytes(4, "little"))
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)(_made)
    library.espeak_SetSynthCallback(callback)
    library.espeak_SetParameter(_RATE, int(asked["words_a_minute"]), 0)
    library.espeak_SetParameter(_PITCH, int(asked["pitch"]), 0)
    text = asked["text"].encode()
    sys.exit(0 if library.espeak_Synth(text, len(text) + 1, 0, 1, 0, _UTF8, None, None) == 0 else 1)


def _made(samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: int) -> int:
    if count > 0:
        _write(ctypes.string_at(samples, 2 * count))
    return 0


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # nobody listens any more
        main()
