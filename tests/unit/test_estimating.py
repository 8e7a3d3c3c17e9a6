"""What the studio says of a run before it begins: estimates, what is missing, the same run elsewhere. Nothing of it loads torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from transformers import VoxtralConfig

from tests.support.command import Command
from tests.support.waiting import until
from voxtune import settings as settings_files
from voxtune.cli.train import setting_options
from voxtune.errors import CallError, ModelError
from voxtune.model import names
from voxtune.settings import TrainSettings, make
from voxtune.studio import elsewhere, estimating, machine, measuring, models, readiness
from voxtune.studio.machine import Gpu, Machine
from voxtune.training import budget, opening
from voxtune.training.shape import shape_of

CPU = Machine(torch=True, hub="offline")
GPU_24 = Gpu(name="24 GB", total_bytes=24_000_000_000, free_bytes=23_500_000_000, bf16=True)
ON_GPU = Machine(torch=True, hub="ok", gpu=GPU_24)
PRACTICE = ["turn on the light", "close the door", "stop the timer", "play music in the kitchen"]


def codes(found: list[readiness.Finding], *, hard: bool | None = None) -> list[str]:
    return [each.code for each in found if hard is None or each.hard is hard]


def look_at(settings: TrainSettings, folder: Path, found: Machine | None) -> tuple[estimating.Estimate, list[readiness.Finding]]:
    data = estimating.data_of(folder)
    assert data is not None
    estimate = estimating.of(settings, data, found, folder)
    return estimate, readiness.of_run(settings, data, estimate, found, folder)


def test_the_table_of_published_sizes_is_that_of_the_models() -> None:
    assert models.shape(models.OFFERED[1]) == shape_of(VoxtralConfig().to_dict())
    small = models.shape(models.SMALL)
    assert small is not None
    assert 24.0e9 < small.numbers()[0] < 24.5e9


@pytest.mark.parametrize("values", [{}, {"method": "full"}, {"batch_size": 1, "freeze_audio_tower": True, "gradient_checkpointing": True}])
def test_memory_is_estimated_as_the_run_itself_does(dataset: Callable[..., Path], values: dict[str, object]) -> None:
    folder = dataset([f"{text} {n}" for n in ("one", "two") for text in PRACTICE]).parent
    settings = make({"data": str(folder), "model": "tiny", **values})
    need = budget.of_run(settings, names.find("tiny"), opening.usable_clips(settings))
    estimate, _ = look_at(settings, folder, CPU)
    assert estimate.memory_bytes == need.estimate.total_bytes
    assert estimate.checkpoint_bytes == need.checkpoint_bytes
    assert estimate.fits
    assert estimate.smaller == {}


def test_what_does_not_fit_comes_with_a_change_that_does(dataset: Callable[..., Path]) -> None:
    folder = dataset(PRACTICE * 2).parent
    settings = make({"data": str(folder), "model": models.OFFERED[1], "batch_size": 8})
    estimate, found = look_at(settings, folder, ON_GPU)
    assert not estimate.fits
    assert "memory_smaller" in codes(found, hard=False)
    assert estimate.smaller
    assert look_at(settings.model_copy(update=estimate.smaller), folder, ON_GPU)[0].fits
    assert estimate.download_bytes == pytest.approx(9.4e9, rel=0.02)


def test_nothing_is_said_of_memory_while_the_machine_is_not_known(dataset: Callable[..., Path]) -> None:
    folder = dataset(PRACTICE).parent
    estimate, found = look_at(make({"data": str(folder), "model": "tiny"}), folder, None)
    assert estimate.memory_bytes is None
    assert not codes(found, hard=True)
    assert codes(look_at(make({"data": str(folder), "model": models.SMALL}), folder, None)[1], hard=True) == ["looking"]


def test_a_new_recording_is_seen(dataset: Callable[..., Path]) -> None:
    folder = dataset(PRACTICE).parent
    before = estimating.data_of(folder)
    lines = (folder / "data.jsonl").read_text().splitlines()
    (folder / "data.jsonl").write_text("\n".join(lines[:2]) + "\n")
    after = estimating.data_of(folder)
    assert before is not None
    assert after is not None
    assert (before.num_clips, after.num_clips) == (len(lines), 2)
    assert codes(readiness.of_data(after), hard=True) == ["few"]
    assert codes(readiness.of_data(estimating.data_of(folder / "gone"))) == ["no_dataset"]


def test_each_lack_is_told_with_what_to_do(dataset: Callable[..., Path]) -> None:
    folder = dataset(PRACTICE).parent
    assert codes(readiness.of_data(estimating.data_of(folder)), hard=False) == ["some"]

    def of(found: Machine, **values: Any) -> list[readiness.Finding]:
        return look_at(make({"data": str(folder), "model": "tiny", **values}), folder, found)[1]

    mini = models.OFFERED[1]
    assert codes(of(CPU)) == []
    assert codes(of(CPU, model=mini)) == ["gpu"]
    assert "offline" in codes(of(Machine(torch=True, hub="offline", gpu=GPU_24), model=mini), hard=True)
    assert "four_bit" in codes(of(CPU, load_in_4bit=True), hard=True)
    assert "token" in codes(of(ON_GPU, model=mini), hard=False)
    signed_in = of(Machine(torch=True, hub="ok", gpu=GPU_24, has_token=True), model=mini)
    assert [each.link for each in signed_in if each.code == "terms"] == [f"https://huggingface.co/{mini}"]
    assert "bf16" in codes(of(Machine(torch=True, gpu=Gpu(name="old", total_bytes=8 << 30, free_bytes=8 << 30, bf16=False)), precision="bf16"), hard=True)
    assert codes(of(Machine()), hard=True) == ["torch_broken"]


def test_the_practice_model_is_not_praised_for_words_that_it_does_not_know(dataset: Callable[..., Path]) -> None:
    folder = dataset([*PRACTICE, "the hedgehog sleeps under leaves"]).parent
    data = estimating.data_of(folder)
    assert data is not None
    _, found = look_at(make({"data": str(folder), "model": "tiny"}), folder, CPU)
    assert codes(found) == ["practice"]
    assert found[0].values["n"] == data.texts.count("the hedgehog sleeps under leaves")
    assert "hedgehog" in str(found[0].values["words"])


def test_a_full_disk_is_told_before_the_start(dataset: Callable[..., Path]) -> None:
    folder = dataset(PRACTICE).parent
    data = estimating.data_of(folder)
    assert data is not None
    estimate = estimating.Estimate(steps=1, checkpoint_bytes=10**18, free_bytes=10**9)
    found = readiness.of_run(make({"data": str(folder), "model": "tiny"}), data, estimate, CPU, folder)
    assert codes(found, hard=True) == ["disk"]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"epochs": 0.3, "learning_rate": 2e-4, "trackio": False, "load_in_4bit": True, "lora_scope": "language_model+projector", "seed": 7},
        {"method": "full", "warmup_ratio": 1 / 3, "output": "/tmp/a folder/with 'quotes'", "data": "/tmp/$(touch x);#"},
    ],
)
def test_the_command_and_the_file_are_the_same_run(values: dict[str, Any], tmp_path: Path) -> None:
    settings = make({"data": "datasets/voice", "model": "tiny", "output": "outputs/a", **values})
    script = f"voxtune() {{ printf '%s\\0' \"$@\"; }}; {elsewhere.command(settings)}"
    words = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split("\0")[:-1]
    assert words[0] == "train"
    parsed = click.command("train")(setting_options(lambda **_: None)).make_context("train", words[1:])
    assert make({name: value for name, value in parsed.params.items() if value is not None}) == settings
    (tmp_path / "settings.yaml").write_text(elsewhere.yaml(settings))
    assert settings_files.load(tmp_path / "settings.yaml", {}) == settings


def test_only_what_differs_from_the_defaults_is_in_the_command() -> None:
    assert elsewhere.command(make({"data": "d", "model": "tiny", "epochs": 3})) == "voxtune train \\\n  --data d \\\n  --model tiny \\\n  --epochs 3"


def test_the_page_names_models_of_the_hub_and_of_the_workspace_and_no_other_folder(tmp_path: Path) -> None:
    workspace, outside = tmp_path / "workspace", tmp_path / "outside"
    for folder in (workspace / "mine", outside):
        folder.mkdir(parents=True)
        for file in ("config.json", "model.safetensors"):
            (folder / file).write_bytes((names.tiny_folder() / file).read_bytes())
    (workspace / "link").symlink_to(outside)
    assert models.allowed(workspace, " tiny ") == "tiny"
    assert models.allowed(workspace, "someone/voxtral") == "someone/voxtral"
    assert models.allowed(workspace, "mine") == str(workspace / "mine")
    assert models.allowed(workspace, str(workspace / "mine")) == str(workspace / "mine")
    assert models.shape(str(workspace / "mine")) == models.shape("tiny")
    wrong = ["", "..", "../outside", str(outside), "link", "/etc", "/etc/passwd", "~", "a\0b", "x" * 5_000, "x" * 300 + "/y", "https://a/b", "a/b/c", "C:\\x"]
    for name in wrong:
        with pytest.raises((CallError, ModelError)):
            models.allowed(workspace, name)
    with pytest.raises(ModelError):
        models.allowed(workspace, str(workspace))


def test_a_folder_where_the_studio_was_started_is_no_model_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "someone" / "voxtral").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CallError):
        models.allowed(tmp_path / "workspace", "someone/voxtral")


def test_the_machine_is_what_the_doctor_says(voxtune: Command) -> None:
    report = voxtune("doctor", "--json").json
    found = machine.of_report(report)
    devices = next(check for check in report["checks"] if check["name"] == "torch")["details"]["devices"]
    assert found.torch
    assert (found.gpu is None) == (devices == [])
    assert found.suggested_model == (names.TINY if found.gpu is None else names.DEFAULT_ON_GPU)
    assert found.hub == "offline"
    assert machine.of_report({"checks": []}) == Machine()
    broken = json.loads(json.dumps(report).replace('"ok"', '"error"'))
    assert machine.of_report(broken).packages


def test_looking_at_the_machine_blocks_nobody(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from voxtune.studio import machine; began = time.monotonic(); "
        "assert machine.look(Path(sys.argv[1])) is None; assert machine.is_looking(); assert time.monotonic() - began < 0.5\n"
        "while machine.is_looking(): time.sleep(0.05)\n"
        "assert machine.look(Path(sys.argv[1])).torch; assert not machine.is_looking(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=120)


def test_a_measurement_ends_when_the_settings_change(demo_part: Callable[[int], Path], tmp_path: Path) -> None:
    settings = make({"data": str(demo_part(12)), "model": "tiny"})
    measuring.start(tmp_path, settings)
    process = measuring._job.process  # type: ignore[union-attr]
    measuring.keep_only(tmp_path, settings)
    assert process.poll() is None
    measuring.keep_only(tmp_path, settings.model_copy(update={"epochs": 1.0}))
    process.wait(10)
    assert not measuring.is_measuring(tmp_path, settings)
    assert measuring.look(tmp_path, settings) is None


def test_what_cannot_be_measured_says_why(tmp_path: Path) -> None:
    settings = make({"data": str(tmp_path / "gone.jsonl"), "model": "tiny"})
    measuring.start(tmp_path, settings)
    until(lambda: measuring.look(tmp_path, settings) is not None, timeout_s=60)
    found = measuring.look(tmp_path, settings)
    assert found is not None
    assert "does not exist" in found.problem
    assert "Traceback" not in found.problem
