"""Sound and breaths: what a recording must be, and where a sentence ends."""

import io
import wave

import numpy as np
import pytest

from adapters.resample import as_heard
from kernel.emotion import Felt
from kernel.errors import BadAudio
from kernel.speech import Breaths, Sound, read_wav, write_wav


def breaths(*pieces: tuple[str, str]) -> list[tuple[str, str]]:
    cutter = Breaths()
    said = [one for emotion, text in pieces for one in cutter.feed(Felt(emotion=emotion, text=text))]
    return [(one.emotion, one.text) for one in (*said, *cutter.end())]


def test_a_sentence_is_spoken_when_it_ends_and_not_before() -> None:
    cutter = Breaths()
    assert list(cutter.feed(Felt(emotion="Calm", text="I was born in Leeds"))) == []
    assert [one.text for one in cutter.feed(Felt(emotion="Calm", text=". My mo"))] == ["I was born in Leeds."]


def test_sentences_end_in_both_languages_and_never_hold_two_emotions() -> None:
    assert breaths(("开心", "你好！很高兴。"), ("悲伤", "可是"), ("平静", "好")) == [
        ("开心", "你好！"),
        ("开心", "很高兴。"),
        ("悲伤", "可是"),
        ("平静", "好"),
    ]
    assert breaths(("Calm", "It cost 3.50. “Truly?” he said.")) == [
        ("Calm", "It cost 3.50."),
        ("Calm", "“Truly?”"),
        ("Calm", "he said."),
    ]


def test_a_sentence_without_end_is_cut_where_one_would_breathe_and_marks_alone_are_not_spoken() -> None:
    long = breaths(("Calm", "and then we went, " * 20))
    assert len(long) > 2 and all(len(text) <= 120 for _, text in long)
    assert "".join(text for _, text in long).count("went") == 20
    assert breaths(("Calm", "……！ \n")) == []


def test_a_wav_file_is_read_as_it_was_written_and_of_two_channels_the_first() -> None:
    sound = Sound(samples=np.arange(100, dtype="<i2").tobytes(), rate=8000)
    assert read_wav(write_wav(sound)) == sound
    both = io.BytesIO()
    with wave.open(both, "wb") as wav:
        wav.setnchannels(2)
        wav.setsampwidth(2)
        wav.setframerate(8000)
        wav.writeframes(np.stack([np.arange(100), -np.arange(100)], axis=1).astype("<i2").tobytes())
    assert read_wav(both.getvalue()) == sound


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"RIFF",
        b"OggS" + b"\0" * 100,
        write_wav(Sound(samples=b"", rate=8000)),
        write_wav(Sound(samples=b"\0\0", rate=9)),
    ],
)
def test_a_broken_recording_is_refused_with_what_to_send(file: bytes) -> None:
    with pytest.raises(BadAudio, match="16-bit PCM"):
        read_wav(file)


def test_a_recording_is_heard_at_16_khz_with_its_tone_kept() -> None:
    tone = (10000 * np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)).astype("<i2")
    heard = np.frombuffer(as_heard(Sound(samples=tone.tobytes(), rate=22050)), "<i2")
    assert len(heard) == 16000
    assert np.argmax(np.abs(np.fft.rfft(heard))) == 440
    assert abs(int(heard.max()) - 10000) < 50
