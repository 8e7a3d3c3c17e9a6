"""The files of a demo Space, and that it takes sound in exactly as we do."""

from __future__ import annotations

import importlib.util
from importlib import metadata
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from packaging.requirements import Requirement
from packaging.version import Version

from tests.support.clips import sound_file, speech_like
from voxtune import audio
from voxtune.dataset.clips import Clip
from voxtune.evaluation import transcribe
from voxtune.publishing import space_check, space_files, space_token


@pytest.fixture(scope="module")
def sound() -> ModuleType:
    """The template's module, which imports nothing of ours."""
    file = space_files.TEMPLATE / "sound.py"
    assert "voxtune" not in [line.split()[1].split(".")[0] for line in file.read_text().splitlines() if line.startswith(("import ", "from "))]
    spec = importlib.util.spec_from_file_location("demo_sound", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("container", "rate_hz", "channels", "subtype"),
    [("WAV", 16_000, 1, "PCM_16"), ("WAV", 48_000, 2, "FLOAT"), ("FLAC", 44_100, 2, None), ("OGG", 48_000, 1, None), ("MP3", 22_050, 2, None)],
)
def test_it_reads_what_we_read_bit_for_bit(sound: ModuleType, tmp_path: Path, container: str, rate_hz: int, channels: int, subtype: str | None) -> None:
    wave = speech_like(20, rate_hz=rate_hz, peak=0.9)
    file = tmp_path / f"clip.{container.lower()}"
    file.write_bytes(sound_file(np.stack([wave] * channels, axis=1), rate_hz, container, subtype))
    assert np.array_equal(sound.read(str(file), limit_s=60), audio.read(file))


@pytest.mark.parametrize("duration_s", [29.9, 30.0, 30.1, 75.0])
def test_it_cuts_where_we_cut(sound: ModuleType, duration_s: float) -> None:
    wave = speech_like(duration_s).astype(np.float32)
    mine, theirs = transcribe.pieces(wave), sound.pieces(wave)
    assert [len(piece) for piece in theirs] == [len(piece) for piece in mine]
    assert np.array_equal(np.concatenate(theirs), wave)


def test_what_is_no_sound_is_told(sound: ModuleType, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", 0.1 * np.ones(16_000 * 61), 16_000)
    (tmp_path / "cut.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    (tmp_path / "list.webm").write_bytes(b"\x1a\x45\xdf\xa3" + b"http://127.0.0.1/other")
    (tmp_path / "empty.wav").write_bytes(b"")
    for name, said in (("long.wav", "1 minutes"), ("cut.m4a", "cannot be read"), ("list.webm", "cannot be read"), ("empty.wav", "cannot be read")):
        with pytest.raises(sound.NoSoundError, match=said):
            sound.read(str(tmp_path / name), limit_s=60)


def test_versions_are_those_that_are_here_and_zero_gpu_gets_a_torch_that_it_takes() -> None:
    pinned = [Requirement(line) for line in space_files.requirements(on_zero_gpu=False).splitlines()]
    for each in pinned:
        assert each.specifier.contains(Version(metadata.version(each.name)).public)
        assert len(each.specifier) == 1
        assert "+" not in str(each)
    on_zero = {each.name: each.specifier for each in map(Requirement, space_files.requirements(on_zero_gpu=True).splitlines())}
    assert on_zero.pop("torch").contains("2.11.0")
    assert on_zero == {each.name: each.specifier for each in pinned if each.name != "torch"}
    assert space_files.gradio_version() == metadata.version("gradio")


def test_what_is_not_installed_is_asked_for_as_voxtune_does(monkeypatch: pytest.MonkeyPatch) -> None:
    found = metadata.version

    def without(name: str) -> str:
        if name in ("accelerate", "gradio"):
            raise metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(metadata, "version", without)
    assert "\naccelerate>=1.15\n" in space_files.requirements(on_zero_gpu=False)
    assert space_files.gradio_version() == "6.31.0"


def test_the_weights_of_a_model_are_those_that_transformers_loads() -> None:
    listed = {"consolidated.safetensors": "a" * 64, "model-00001-of-00002.safetensors": "b" * 64, "model-00002-of-00002.safetensors": "c" * 64}
    found = space_files.weights("o/m", "f" * 40, dict.fromkeys(listed, 5_000_000_000), listed)
    assert set(found.sha256) == set(listed) - {"consolidated.safetensors"}
    assert found.num_bytes == 10_000_000_000


def test_a_token_is_known_again_by_a_mark_that_does_not_tell_it() -> None:
    one, other = space_token.mark("hf_" + "a" * 34), space_token.mark("hf_" + "b" * 34)
    assert one != other
    assert len(one) == 8


def test_the_template_is_whole() -> None:
    assert {path.name for path in space_files.TEMPLATE.iterdir() if path.is_file()} == {"README.md", "app.py", "app.css", "serving.py", "sound.py"}


def _probe(base: str, tuned: str, language: str | None = "de") -> space_check.Probe:
    clip = Clip(audio_path="a.wav", path=Path("a.wav"), text="gesagt", language=language)
    return space_check.Probe(clip=clip, text="gesagt", base_text=base, tuned_text=tuned)


GARDEN = _probe("oben ist ein Warten", "das Tor im Garten ist offen")
LIGHT = _probe("mach das Nicht aus", "mach im Keller das Licht aus")


@pytest.mark.parametrize(
    ("heard", "state"),
    [
        ([(GARDEN, "Das Tor im Garten ist offen.")], "verified"),
        ([(GARDEN, "das Tor am Garten ist offen"), (LIGHT, "Mach im Keller das Licht aus!")], "verified"),
        ([(GARDEN, "das Tor am Garten ist offen"), (LIGHT, "mach im Keller das Licht auf")], "verified"),
        ([(GARDEN, "das Tor am Garten ist offen"), (LIGHT, "heute scheint die Sonne")], "differs"),
        ([(GARDEN, "oben ist ein Warten")], "base"),
        ([(GARDEN, "das Tor am Garten ist offen"), (LIGHT, "mach das Nicht aus")], "base"),
        ([(GARDEN, "")], "differs"),
        ([], "not_verifiable"),
    ],
)
def test_what_a_space_heard_is_judged(heard: list[tuple[space_check.Probe, str]], state: str) -> None:
    found = space_check.judged(heard)
    assert found.state == state
    assert found.is_wrong == (state in ("base", "differs"))
    assert bool(found.reason) == (found.heard is None or not space_check._same(found.heard, found.tuned_text or "", "de"))
