from __future__ import annotations

import json
from pathlib import Path

import pytest

from voxtune.dataset import transcripts
from voxtune.errors import CallError, DatasetError


@pytest.fixture
def audio(tmp_path: Path) -> list[Path]:
    """Ten files whose name order is not their text order."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(1, 11):
        (folder / f"clip{number}.wav").write_bytes(b"x")
    return transcripts.find_audio([folder])


TEXTS = [f"text {number}" for number in range(1, 11)]


def _pairs(audio: list[Path], file: Path) -> list[tuple[str, str]]:
    return sorted(((clip.path.name, clip.text) for clip in transcripts.pair(audio, file)), key=lambda pair: int(pair[0][4:-4]))


EXPECTED = [(f"clip{number}.wav", f"text {number}") for number in range(1, 11)]


def test_names_are_ordered_as_people_count(audio: list[Path]) -> None:
    assert [path.name for path in audio] == [f"clip{number}.wav" for number in range(1, 11)]


def _jsonl(folder: Path) -> Path:
    file = folder / "t.jsonl"
    file.write_text("".join(json.dumps({"audio_filepath": f"in/clip{n}.wav", "text": f"text {n}"}) + "\n" for n in range(10, 0, -1)))
    return file


def _csv(folder: Path) -> Path:
    file = folder / "t.csv"
    file.write_text("file_name,sentence\n" + "".join(f'clip{n}.wav,"text {n}"\n' for n in range(10, 0, -1)))
    return file


def _semicolons(folder: Path) -> Path:
    file = folder / "t.csv"
    file.write_text("\ufefffile_name;sentence;speaker\r\n" + "".join(f"clip{n}.wav;text {n};me\r\n" for n in range(1, 11)), encoding="utf-8")
    return file


def _tsv(folder: Path) -> Path:
    file = folder / "t.tsv"
    file.write_text("audio\ttranscript\n" + "".join(f"/elsewhere/clip{n}.wav\ttext {n}\n" for n in range(1, 11)))
    return file


def _ljspeech(folder: Path) -> Path:
    file = folder / "metadata.csv"
    file.write_text("".join(f"clip{n}|T. {n}|text {n}\n" for n in range(1, 11)))
    return file


def _lines(folder: Path) -> Path:
    file = folder / "t.txt"
    file.write_text("".join(f"{text}\n" for text in TEXTS))
    return file


def _folder(folder: Path) -> Path:
    texts = folder / "texts"
    texts.mkdir()
    for number, text in enumerate(TEXTS, 1):
        (texts / f"clip{number}.txt").write_text(text + "\n")
    return texts


@pytest.mark.parametrize("make", [_jsonl, _csv, _semicolons, _tsv, _ljspeech, _lines, _folder])
def test_every_form_of_transcripts_gives_the_same_pairs(audio: list[Path], tmp_path: Path, make: object) -> None:
    assert _pairs(audio, make(tmp_path)) == EXPECTED  # type: ignore[operator]


def test_a_delimiter_inside_quotes_is_text(audio: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text('audio,text\nclip1.wav,"one, two ""three"""\n')
    (clip,) = transcripts.pair(audio[:1], file)
    assert clip.text == 'one, two "three"'


@pytest.mark.parametrize("blank", [1, 4, 9])
def test_a_blank_line_is_named_and_shifts_nothing(audio: list[Path], tmp_path: Path, blank: int) -> None:
    file = tmp_path / "t.txt"
    file.write_text("".join(("\n" if number == blank else f"{text}\n") for number, text in enumerate(TEXTS, 1)))
    with pytest.raises(DatasetError, match=f"line {blank}: the line is blank; it belongs to clip{blank}.wav"):
        transcripts.pair(audio, file)


@pytest.mark.parametrize(("count", "reason"), [(9, "9 lines for 10 clips.*clip10.wav"), (11, "11 lines for 10 clips")])
def test_a_wrong_number_of_lines_is_refused(audio: list[Path], tmp_path: Path, count: int, reason: str) -> None:
    file = tmp_path / "t.txt"
    file.write_text("".join(f"line {number}\n" for number in range(count)))
    with pytest.raises(DatasetError, match=reason):
        transcripts.pair(audio, file)


@pytest.mark.parametrize("make", [_jsonl, _csv, _tsv, _ljspeech])
def test_a_row_without_audio_and_audio_without_a_row_are_named(audio: list[Path], tmp_path: Path, make: object) -> None:
    file = make(tmp_path)  # type: ignore[operator]
    with pytest.raises(DatasetError, match=r"clip10(\.wav)? is not among|clip10.wav is not among"):
        transcripts.pair(audio[:9], file)
    lines = [line for line in file.read_text().splitlines(keepends=True) if "clip7" not in line]
    file.write_text("".join(lines))
    with pytest.raises(DatasetError, match=r"no transcript for clip7\.wav"):
        transcripts.pair(audio, file)


@pytest.mark.parametrize("make", [_jsonl, _csv, _tsv, _ljspeech, _folder])
def test_a_blank_transcript_is_named(audio: list[Path], tmp_path: Path, make: object) -> None:
    file = make(tmp_path)  # type: ignore[operator]
    target = file / "clip3.txt" if file.is_dir() else file
    target.write_text(target.read_text().replace("T. 3|text 3", "|").replace("text 3", ""))
    with pytest.raises(DatasetError, match=r"transcript of .*clip3\.wav is blank"):
        transcripts.pair(audio, file)


def test_a_blank_row_in_a_table_is_named(audio: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("audio,text\nclip1.wav,a\n\nclip2.wav,b\n")
    with pytest.raises(DatasetError, match="line 3: the line is blank"):
        transcripts.pair(audio[:2], file)


def test_a_wrong_column_says_which_there_are(audio: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("path,words\nclip1.wav,a\n")
    with pytest.raises(DatasetError, match="there is path, words"):
        transcripts.pair(audio[:1], file)


def test_two_files_of_one_name_are_told_apart_by_path_or_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.wav").write_bytes(b"x")
    audio = transcripts.find_audio([tmp_path / "a", tmp_path / "b"])
    file = tmp_path / "t.jsonl"
    file.write_text('{"audio": "a/x.wav", "text": "one"}\n{"audio": "b/x.wav", "text": "two"}\n')
    assert [(clip.path.parent.name, clip.text) for clip in transcripts.pair(audio, file)] == [("a", "one"), ("b", "two")]
    file.write_text('{"audio": "x.wav", "text": "one"}\n')
    with pytest.raises(DatasetError, match="2 files have this name"):
        transcripts.pair(audio, file)


def test_places_without_audio_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CallError, match="holds no audio"):
        transcripts.find_audio([tmp_path])
    with pytest.raises(CallError, match="does not exist"):
        transcripts.find_audio([tmp_path / "nowhere"])
