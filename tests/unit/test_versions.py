from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import Command
from voxtune import versions
from voxtune.errors import MissingDependencyError


@pytest.fixture
def other_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is searched before the installed packages, in which metadata claim what they like."""
    folder = tmp_path / "first"
    _claim(folder, "transformers", "4.0.0")
    _claim(folder, "peft", "not a version")
    monkeypatch.syspath_prepend(str(folder))
    return folder


def _claim(folder: Path, package: str, version: str) -> None:
    about = folder / f"{package}-{version.replace(' ', '_')}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")


def test_this_environment_fits() -> None:
    assert versions.problems() == []
    versions.check()


def test_a_version_outside_the_range_is_named_with_the_command_that_mends_it(other_versions: Path) -> None:
    assert [(problem.package, problem.found) for problem in versions.problems()] == [("peft", "not a version"), ("transformers", "4.0.0")]
    with pytest.raises(MissingDependencyError) as caught:
        versions.check()
    assert "transformers 4.0.0 (voxtune needs <6,>=5.10)" in caught.value.message
    assert "peft not a version" in caught.value.message
    assert caught.value.hint == "pip install 'peft>=0.21' 'transformers<6,>=5.10'"


def test_only_what_is_asked_for_is_looked_at(other_versions: Path) -> None:
    assert versions.problems(extra="") == []


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    site = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    for found in (*site.glob("voxtune-*"), *site.glob("packaging*")):  # alone, as after `pip install --no-deps`
        (tmp_path / found.name).symlink_to(found)
    (tmp_path / "voxtune").symlink_to(Path(versions.__file__).parent)
    script = "from voxtune import versions\nversions.check()"
    done = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "MissingDependencyError" in done.stderr
    assert "numpy is not installed (voxtune needs >=2.0)" in done.stderr
    assert "torch is not installed" in done.stderr


def test_looking_loads_none_of_the_packages_and_takes_no_time() -> None:
    script = (
        "import sys, time\nbegan = time.process_time()\nfrom voxtune import versions\nloading = time.process_time() - began\nversions.check()\n"
        "print(time.process_time() - began - loading, *{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    seconds, *loaded = done.stdout.split()
    assert float(seconds) < 0.05
    assert set(loaded) & {"torch", "transformers", "peft", "accelerate", "trackio", "huggingface_hub", "numpy", "soundfile", "safetensors"} == set()


def test_what_is_installed_is_told_and_what_is_not_is_none(other_versions: Path) -> None:
    told = versions.installed()
    assert told["python"] == sys.version.split()[0]
    assert told["transformers"] == "4.0.0"
    assert told["torch"]
    assert all(value is None or value for value in told.values())


def test_the_doctor_tells_of_a_wrong_version(voxtune: Command, tmp_path: Path) -> None:
    _claim(tmp_path / "first", "transformers", "4.0.0")
    voxtune.environment["PYTHONPATH"] = str(tmp_path / "first")
    done = voxtune("doctor", "--json")
    assert done.code == 1
    assert done.json["ok"] is False
    found = next(check for check in done.json["checks"] if check["name"] == "packages")
    assert found["state"] == "error"
    assert "transformers 4.0.0" in found["message"]
    assert found["hint"] == "pip install 'transformers<6,>=5.10'"
    assert found["details"]["transformers"] == "4.0.0"
