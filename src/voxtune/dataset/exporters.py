"""A dataset in the layouts that other tools read."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

import soundfile

from voxtune import audio, files
from voxtune.dataset.clips import SPLITS, Clip, Split
from voxtune.errors import DatasetError

Format = Literal["audiofolder", "ljspeech", "nemo"]
FORMATS: tuple[str, ...] = get_args(Format)


def export(clips: Sequence[Clip], folder: Path, *, layout: Format) -> None:
    """Write `clips` to a new `folder`, all of it or nothing.

    audiofolder: a folder a split with metadata.jsonl (`file_name`, `transcription`), as datasets.load_dataset reads it
    (https://huggingface.co/docs/datasets/audio_dataset). ljspeech: wavs/ and metadata.csv (id|text|text). nemo: a manifest a split
    with audio_filepath, duration and text. Raises InUseError, AudioError or DatasetError.
    """
    writers: dict[str, Callable[[Sequence[Clip], Path], None]] = {"audiofolder": _audiofolder, "ljspeech": _ljspeech, "nemo": _nemo}
    with files.new_folder(folder) as partial:
        writers[layout](clips, partial)


def as_wav(clip: Clip) -> bytes:
    """A clip's sound as 16-bit PCM WAV, and nothing besides it: programs and phones write names and places into their files.

    A file that is such a WAV is given byte for byte, one that holds more with its samples as they are; all else at 16 kHz, mono.
    Raises AudioError.
    """
    if (clip.start_s, clip.end_s) == (None, None) and clip.path.is_file():
        data = clip.path.read_bytes()
        if _is_bare(data):
            return data
        with contextlib.suppress(soundfile.LibsndfileError), soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.format in ("WAV", "WAVEX") and file.subtype == "PCM_16":
                buffer = io.BytesIO()
                soundfile.write(buffer, file.read(dtype="int16"), file.samplerate, format="WAV", subtype="PCM_16")
                return buffer.getvalue()
    return audio.write_wav(audio.read(clip.path, start_s=clip.start_s, end_s=clip.end_s))


def _is_bare(data: bytes) -> bool:
    """Whether this is a WAV of 16-bit PCM with a header of 44 bytes, and samples to its end."""
    if len(data) < 46 or data[:4] != b"RIFF" or data[8:16] != b"WAVEfmt " or data[36:40] != b"data":
        return False
    (riff,), (header, tag), (bits,), (length,) = (struct.unpack_from(form, data, at) for form, at in (("<I", 4), ("<IH", 16), ("<H", 34), ("<I", 40)))
    return (header, tag, bits) == (16, 1, 16) and riff + 8 == length + 44 == len(data)


def _audiofolder(clips: Sequence[Clip], folder: Path) -> None:
    for side, members in by_side(clips).items():
        rows = []
        for clip in members:
            name = _copy(clip, folder / side)
            rows.append({"file_name": name, "transcription": clip.text} | ({"language": clip.language} if clip.language else {}))
        files.write_lines(folder / side / "metadata.jsonl", rows)


def _ljspeech(clips: Sequence[Clip], folder: Path) -> None:
    lines = []
    for clip in clips:
        if "|" in clip.text or "\n" in clip.text:
            message = f"the transcript {clip.text!r} holds a character that LJSpeech's metadata.csv cannot."
            raise DatasetError(message, file=clip.path, line=clip.line, hint="Export as audiofolder or nemo, or take the character out.")
        name = _copy(clip, folder / "wavs")
        lines.append(f"{Path(name).stem}|{clip.text}|{clip.text}\n")
    files.write_text(folder / "metadata.csv", "".join(lines))


def _nemo(clips: Sequence[Clip], folder: Path) -> None:
    for side, members in by_side(clips).items():
        rows: list[dict[str, object]] = []
        for clip in members:
            name = _copy(clip, folder / "wavs")
            duration_s = soundfile.info(folder / "wavs" / name).duration
            row: dict[str, object] = {"audio_filepath": f"wavs/{name}", "duration": round(duration_s, 4), "text": clip.text}
            rows.append(row | ({"lang": clip.language} if clip.language else {}))
        files.write_lines(folder / f"{side}_manifest.json", rows)


def by_side(clips: Sequence[Clip]) -> dict[Split, list[Clip]]:
    """The clips of each side that has any; those without a side are for training."""
    sides = {side: [clip for clip in clips if (clip.split or "train") == side] for side in SPLITS}
    return {side: members for side, members in sides.items() if members}


def _copy(clip: Clip, folder: Path) -> str:
    """Write the clip's audio into `folder` under a name of its own, and give the name."""
    stem = Path(clip.audio_path).stem if clip.start_s is None else f"{Path(clip.audio_path).stem}-{round(clip.start_s * 1000)}"
    name, count = f"{stem}.wav", 1
    while (folder / name).exists():
        name, count = f"{stem}-{count}.wav", count + 1
    files.put(folder / name, audio.write_wav(audio.read(clip.path, start_s=clip.start_s, end_s=clip.end_s)))
    return name
