from __future__ import annotations

from pathlib import Path

import pytest

from voxtune import settings as settings_files
from voxtune.errors import SettingsError
from voxtune.settings import TrainSettings, make


def test_settings_survive_being_written_and_read(tmp_path: Path) -> None:
    made = make({"data": "d", "output": "o/p", "language": "DE", "learning_rate": "3e-4", "method": "full", "epochs": 2})
    settings_files.save(made, tmp_path / "s.yaml")
    assert settings_files.load(tmp_path / "s.yaml", {}) == made
    assert made.language == "de"
    assert made.learning_rate == 3e-4


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("data: d\nlora-r: 4\nepochs: 5\n")
    made = settings_files.load(tmp_path / "s.yaml", {"epochs": "7"})
    assert (made.lora_r, made.epochs) == (4, 7)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"learning_rat": 1}, r"unknown setting 'learning_rat' \(did you mean 'learning_rate'\?\)"),
        ({"learning_rate": 0}, "learning_rate = 0"),
        ({"learning_rate": "nan"}, "learning_rate"),
        ({"learning_rate": float("inf")}, "learning_rate"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": "many"}, "batch_size = 'many'"),
        ({"method": "dora"}, "method"),
        ({"language": "eng"}, "two-letter"),
        ({"lora_dropout": 1}, "lora_dropout"),
        ({"seed": -1}, "seed"),
        ({"method": "full", "load_in_4bit": True}, "needs method lora"),
        ({"lora_scope": "audio_tower", "freeze_audio_tower": True}, "nothing to train"),
        ({"freeze_audio_tower": True, "train_tower_layers": 1}, "exclude each other"),
        ({"eval_steps": 4, "save_steps": 6}, "multiple"),
        ({"save_steps": 6}, "needs eval_steps"),
    ],
)
def test_a_wrong_setting_is_named(values: dict[str, object], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        make({"data": "d", **values})


def test_all_wrong_settings_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        make({"data": "d", "epochs": -1, "lora_r": 0, "colour": "red"})
    assert all(name in caught.value.message for name in ("epochs", "lora_r", "colour"))


def test_data_must_be_given() -> None:
    with pytest.raises(SettingsError, match="'data' is missing"):
        make({})


@pytest.mark.parametrize(("text", "reason"), [("- a\n- b\n", "name: value"), ("a: [", "not YAML"), ("", "'data' is missing")])
def test_a_file_that_holds_no_settings_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(SettingsError, match=reason):
        settings_files.load(tmp_path / "s.yaml", {})


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in TrainSettings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({}, {"language_model", "projector", "audio_tower"}),
        ({"freeze_audio_tower": True}, {"language_model", "projector"}),
        ({"lora_scope": "language_model"}, {"language_model"}),
        ({"method": "full", "lora_scope": "language_model"}, {"language_model", "projector", "audio_tower"}),
        ({"method": "full", "freeze_audio_tower": True}, {"language_model", "projector"}),
    ],
)
def test_what_trains_follows_from_method_scope_and_freezing(values: dict[str, object], parts: set[str]) -> None:
    assert make({"data": "d", **values}).trained_parts == parts
