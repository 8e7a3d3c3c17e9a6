"""Publishing before the Hub is asked: names, waiting, consent, records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from voxtune import files
from voxtune.errors import CallError, DatasetError
from voxtune.publishing import calls, consent, records
from voxtune.publishing.account import Account, check_name, repo_name, require_write
from voxtune.publishing.belongings import beside

ALICE = Account(name="alice", fullname="Alice", role="write", source="HF_TOKEN", organizations=("acme",), endpoint="https://huggingface.co")

HOSTILE = [
    *("", "/", "a/", "/a", "a/b/c", "../x", "a/..", "a/.hidden", "a/b..c", "a/b--c", "a/-b", "a/b-", "a/b.", "a/b.git", "a b/c", "a/b c"),
    *(
        "a/b\n",
        "a/b\x00",
        "a/ü",
        "a/b?x=1",
        "a/b#c",
        "a/b%2fc",
        "https://huggingface.co/a/b",
        "--public",
        "a/" + "b" * 95,
        "x" * 97,
        "a\\b",
        "a/b;rm",
        "a/$(id)",
    ),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_or_long_name_is_refused_before_any_call(name: str) -> None:
    with pytest.raises(CallError, match="takes no repository"):
        check_name(name)


@pytest.mark.parametrize("name", ["a/b", "alice/voxtral-mini-3B", "A1/x_y.z", "a/" + "b" * 94, "n"])
def test_what_is_accepted_the_client_accepts_too(name: str) -> None:
    check_name(name)
    validate_repo_id(name)


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_that_the_client_refuses_is_accepted(name: str) -> None:
    try:
        validate_repo_id(name)
    except HFValidationError:
        with pytest.raises(CallError):
            check_name(name)


def test_a_name_without_an_owner_is_the_accounts() -> None:
    assert repo_name("voice", ALICE) == "alice/voice"
    assert repo_name("acme/voice", ALICE) == "acme/voice"
    require_write(ALICE, "Acme/voice")


@pytest.mark.parametrize(("headers", "attempt", "pause"), [({}, 1, 1), ({}, 3, 4), ({}, 9, 8), ({"retry-after": "7"}, 1, 7.5)])
def test_the_hub_is_given_the_time_that_it_asks_for(headers: dict[str, str], attempt: int, pause: float) -> None:
    assert calls.wait_s(headers, attempt) == pause


def test_the_ratelimit_header_is_obeyed_too() -> None:
    assert calls.wait_s({"ratelimit": '"api";r=0;t=55'}, 1) == 55.5
    assert calls.wait_s({"ratelimit": '"api";r=3;t=55'}, 1) == 1


def test_consent_is_kept_with_the_recordings_and_found_from_the_run(tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    run.mkdir()
    (data / "dataset.json").write_text(json.dumps({"schema": 1, "language": "de"}))
    (run / "settings.yaml").write_text(f"data: {data}\n")
    with pytest.raises(CallError, match="whose voice"):
        consent.require(run)
    consent.give(data, "permission", by="alice")
    about = json.loads((data / "dataset.json").read_text())
    assert (about["language"], about["consent"]["voice"], about["consent"]["by"]) == ("de", "permission", "alice")
    assert consent.require(run) == consent.require(data)
    with pytest.raises(CallError):
        consent.give(data, "the neighbour's", by="alice")


def test_what_is_being_published_is_not_swept_by_others_and_a_killed_ones_by_the_next(tmp_path: Path) -> None:
    """A studio that starts sweeps the dataset's folder, while a command that the one before it had started is still sending."""
    with beside(tmp_path, "dataset") as place, beside(tmp_path, "space") as other:
        files.sweep(tmp_path)
        assert place.is_dir()
        assert other.is_dir()
    left = tmp_path / place.name
    (left / "wavs").mkdir(parents=True)
    with beside(tmp_path, "dataset"):
        assert not left.exists()
    assert list(tmp_path.iterdir()) == []


def test_records_keep_each_step_and_refuse_what_they_cannot_read(tmp_path: Path) -> None:
    records.note(tmp_path, "model", {"repo": "alice/m"})
    records.note(tmp_path, "space", {"repo": "alice/s"})
    records.drop(tmp_path, "model")
    assert records.read(tmp_path) == {"space": {"repo": "alice/s"}}
    (tmp_path / "published.json").write_text("[]")
    with pytest.raises(DatasetError, match="not readable"):
        records.read(tmp_path)
