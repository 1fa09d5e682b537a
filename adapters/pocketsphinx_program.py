"""PocketSphinx in a process of its own, which computes while the API does not wait: `-m adapters.pocketsphinx_program`.

Reads 16-bit samples of 16 kHz from stdin until they end, recognising as they come; writes {"text"} as one JSON object.
The model is the package's own, US English.
"""

import json
import sys

import pocketsphinx

_PIECE = 3200  #: bytes; a tenth of a second


def main() -> None:
    decoder = pocketsphinx.Decoder(samprate=16000, loglevel="FATAL")
    decoder.start_utt()
    while piece := sys.stdin.buffer.read(_PIECE):
        decoder.process_raw(piece[: len(piece) // 2 * 2], False, False)
    decoder.end_utt()
    found = decoder.hyp()
    print(json.dumps({"text": found.hypstr if found else ""}))


if __name__ == "__main__":
    main()
