"""Resampling: a whole recording to the rate that recognisers read, through its spectrum, so that nothing aliases."""

import numpy as np

from kernel.speech import HEARD_RATE, Sound


def as_heard(sound: Sound) -> bytes:
    """16-bit samples of HEARD_RATE."""
    if sound.rate == HEARD_RATE:
        return sound.samples
    samples = np.frombuffer(sound.samples, "<i2").astype(np.float64)
    count = max(1, round(len(samples) * HEARD_RATE / sound.rate))
    spectrum = np.fft.rfft(samples)[: count // 2 + 1]
    heard = np.fft.irfft(spectrum, count) * (count / len(samples))
    return bytes(np.clip(np.round(heard), -32768, 32767).astype("<i2").tobytes())
