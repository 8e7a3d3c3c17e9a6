from __future__ import annotations

import io
import json
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from tests.support.studio import Studio, serving
from tests.support.takes import demo_lines, phrase, phrase_list, wav_of
from voxtune import audio
from voxtune.recordings.reading import Reading
from voxtune.recordings.takes import Takes, new_key
from voxtune.workspace import RecordingsFolder, Workspace

TEXTS = [text for _, text in demo_lines(12)]


def _fill(folder: RecordingsFolder) -> None:
    """Twelve takes: the third is silent, the fifth much too loud, the first was read twice."""
    Reading(folder).choose("en", "file", phrase_list(TEXTS), set())
    Reading(folder).show()
    takes = Takes(folder)
    for number, (path, text) in enumerate(demo_lines(12)):
        wave = audio.read(path)
        wave = {2: wave * 0, 4: np.clip(wave * 40, -1, 1)}.get(number, wave)
        takes.save(audio.write_wav(wave), phrase(text), key=new_key())
    takes.save(wav_of(demo_lines(1)[0][0]), phrase(TEXTS[0]), key=new_key())


@pytest.fixture
def folder(tmp_path: Path) -> RecordingsFolder:
    return Workspace(tmp_path / "workspace").recordings()


@pytest.fixture
def studio(folder: RecordingsFolder) -> Iterator[Studio]:
    _fill(folder)
    with serving(folder.path.parent.parent) as running:
        yield running


def _ask(studio: Studio, method: str, path: str, value: dict[str, Any] | None = None) -> Any:
    answer = studio.call(method, path, json=value if method == "POST" else None)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _download(studio: Studio, layout: str) -> bytes:
    url = _ask(studio, "POST", "dataset/ticket", {"format": layout})["url"]
    answer = httpx2.get(studio.url + url)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert httpx2.get(studio.url + url).status_code == 410
    return answer.content


def test_the_dataset_is_made_and_says_when_it_is_no_longer_that(studio: Studio, folder: RecordingsFolder) -> None:
    before = _ask(studio, "GET", "dataset")
    assert (before["made"], before["stale"], before["num_clips"]) == (False, False, 12)
    assert [row["text"] for row in before["rows"][:2]] == [TEXTS[2], TEXTS[4]]
    assert [row["problems"][0] for row in before["rows"][:2]] == ["silent", "clipped"]
    assert next(row for row in before["rows"] if row["text"] == TEXTS[0])["takes"] == 2
    assert {row["split"] for row in before["rows"]} == {None}
    assert not (folder.path / "data.jsonl").exists()

    made = _ask(studio, "POST", "dataset", {})
    assert (made["made"], made["stale"]) == (True, False)
    assert sum(made["counts"].values()) == 12
    assert {row["split"] for row in made["rows"]} == {"train", "validation", "test"}
    assert len((folder.path / "data.jsonl").read_text().splitlines()) == 12
    assert "file" in json.loads((folder.path / "dataset.json").read_text())["sources"]

    silent = made["rows"][0]["take"]
    _ask(studio, "POST", f"takes/{silent}/trash", {})
    trashed = _ask(studio, "GET", "dataset")
    assert trashed["stale"]
    assert (trashed["num_clips"], [row["take"] for row in trashed["trash"]]) == (11, [silent])
    _ask(studio, "POST", f"takes/{silent}/restore", {})
    assert not _ask(studio, "GET", "dataset")["stale"]
    _ask(studio, "POST", f"takes/{silent}/text", {"text": "Something else."})
    assert _ask(studio, "GET", "dataset")["stale"]
    assert not _ask(studio, "POST", "dataset", {})["stale"]


def test_what_a_person_keeps_is_no_problem_any_more(studio: Studio) -> None:
    worst = _ask(studio, "GET", "dataset")["rows"][0]
    _ask(studio, "POST", f"takes/{worst['take']}/accept", {})
    after = _ask(studio, "GET", "dataset")["rows"]
    assert after[0]["take"] != worst["take"]
    kept = next(row for row in after if row["take"] == worst["take"])
    assert kept["accepted"]
    assert kept["problems"] == worst["problems"]


@pytest.mark.parametrize("layout", ["voxtune", "audiofolder", "ljspeech", "nemo"])
def test_each_form_can_be_downloaded_once_by_its_ticket_alone(studio: Studio, layout: str) -> None:
    _ask(studio, "POST", "dataset", {})
    packed = zipfile.ZipFile(io.BytesIO(_download(studio, layout)))
    assert packed.testzip() is None
    assert sum(name.endswith(".wav") for name in packed.namelist()) == 12
    assert not any("takes" in name for name in packed.namelist())
    downloads = studio.workspace / ".voxtune" / "downloads"
    until = time.monotonic() + 5
    while list(downloads.iterdir()) and time.monotonic() < until:
        time.sleep(0.05)
    assert list(downloads.iterdir()) == []


def test_no_download_without_key_dataset_or_ticket(studio: Studio) -> None:
    assert studio.call("POST", "dataset/ticket", json={"format": "voxtune"}).status_code == 400
    _ask(studio, "POST", "dataset", {})
    assert studio.call("POST", "dataset/ticket", json={"format": "../etc"}).status_code == 400
    for method, path in (("GET", "vx/dataset"), ("POST", "vx/dataset"), ("POST", "vx/dataset/ticket")):
        assert httpx2.request(method, studio.url + path).status_code == 401
    for ticket in ("x", "A" * 32, "..%2f..%2fkey"):
        assert httpx2.get(f"{studio.url}vx/download/{ticket}").status_code in (404, 410)
    url = _ask(studio, "POST", "dataset/ticket", {"format": "voxtune"})["url"]
    assert httpx2.head(studio.url + url).status_code == 410
    assert httpx2.get(studio.url + url).status_code == 200  # a look ahead did not use it up


def test_downloads_that_a_killed_studio_left_are_swept(studio: Studio) -> None:
    _ask(studio, "POST", "dataset", {})
    _ask(studio, "POST", "dataset/ticket", {"format": "voxtune"})
    downloads = studio.workspace / ".voxtune" / "downloads"
    (left,) = downloads.iterdir()
    (downloads / ".partial-x").mkdir()
    studio.kill()
    os.utime(left, (time.time() - 120,) * 2)
    studio.start()
    _ask(studio, "GET", "dataset")
    assert not downloads.exists()


def test_before_anything_is_recorded_there_is_nothing_to_make(tmp_path: Path) -> None:
    with serving(tmp_path / "empty") as studio:
        nothing = _ask(studio, "GET", "dataset")
        assert (nothing["made"], nothing["rows"], nothing["trash"]) == (False, [], [])
        refused = studio.call("POST", "dataset", json={})
        assert refused.status_code == 422
        assert refused.json()["hint"]
