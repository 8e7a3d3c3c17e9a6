"""Nobody but the page gets in, and the page gets at nothing that it was not given (reliability: hostile requests)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.command import Command
from tests.support.studio import Studio, serving
from tests.support.takes import demo_lines, wav_of
from voxtune.recordings.takes import new_key
from voxtune.studio import sentences
from voxtune.studio.access import Gate, Room, UnknownKeyError
from voxtune.workspace import Workspace

WAV = wav_of(demo_lines(1)[0][0])


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    workspace = tmp_path_factory.mktemp("safe") / "voice"
    room = Room(Workspace(workspace))
    sentences.choose(room, "en", "pack")
    with serving(workspace) as served:
        yield served


def _phrase(studio: Studio) -> str:
    return str(studio.call("GET", "reading?show=1").json()["rows"][0]["phrase"])


def test_without_the_key_nothing_is_told(studio: Studio) -> None:
    for key in ("", "x", "A" * 43, "../" * 14 + "a"):
        for method, path in (("GET", "reading?show=1"), ("GET", "steps"), ("POST", "reading/more"), ("PUT", "takes/abc"), ("GET", "takes/abc/audio")):
            assert studio.call(method, path, headers={"X-Vx-Key": key}).status_code == 401


def test_a_take_is_saved_and_played_with_the_key(studio: Studio) -> None:
    key = new_key()
    done = studio.call("PUT", f"takes/{_phrase(studio)}", content=WAV, headers={"X-Vx-Take": key})
    assert done.status_code == 200, done.text
    assert done.json()["row"]["take"]["take"] == key
    assert studio.call("GET", f"takes/{key}/audio").content == WAV


@pytest.mark.parametrize("said", ["{", "[]", '{"label": "\\ud83d"}', '{"label": {"x": 1}, "rate_hz": NaN}', '{"label": "' + "x" * 2_000 + '"}'])
def test_no_take_is_refused_for_what_is_said_of_the_microphone(studio: Studio, said: str) -> None:
    done = studio.call("PUT", f"takes/{_phrase(studio)}", content=WAV, headers={"X-Vx-Take": new_key(), "X-Vx-Device": said})
    assert done.status_code == 200, done.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
    ],
)
def test_pages_of_others_are_refused_even_with_the_key(studio: Studio, headers: dict[str, str]) -> None:
    assert studio.call("GET", "reading", headers=headers).status_code == 403
    assert studio.call("PUT", f"takes/{_phrase(studio)}", content=WAV, headers={"X-Vx-Take": new_key(), **headers}).status_code == 403


def test_a_name_that_is_made_to_lead_here_is_refused(studio: Studio) -> None:
    for path in ("", "config", "vx/words", "vx/steps"):
        answer = httpx2.get(studio.url + path, headers={"Host": f"evil.example:{studio.port}", "X-Vx-Key": studio.key})
        assert answer.status_code == 400


def test_no_other_page_may_send_a_file_or_an_event(studio: Studio) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        sent = httpx2.post(studio.url + "gradio_api/upload", files={"files": ("x.wav", WAV)}, headers=headers)
        assert sent.status_code == 403
        assert httpx2.post(studio.url + "gradio_api/queue/join", json={}, headers=headers).status_code == 403
    assert httpx2.post(studio.url + "gradio_api/upload", files={"files": ("x.wav", WAV)}).status_code == 200


@pytest.mark.parametrize("path", ["http://127.0.0.1:9/x.wav", "https://example.org/x.wav", "ftp://example.org/x.wav", "/etc/passwd", "file:///etc/passwd"])
def test_no_event_fetches_an_address_or_takes_a_file_that_was_not_uploaded(studio: Studio, path: str) -> None:
    config = httpx2.get(studio.url + "config").json()
    kinds = {each["id"]: each["type"] for each in config["components"]}
    for event in config["dependencies"]:
        files_at = [place for place, each in enumerate(event["inputs"]) if kinds[each] in ("audio", "file", "uploadbutton")]
        for stream in (False, True):
            if files_at:
                sent: list[object] = [studio.key if kinds[each] == "textbox" and place == 0 else None for place, each in enumerate(event["inputs"])]
                for place in files_at:
                    named = {"path": path, "url": path, "is_stream": stream, "meta": {"_type": "gradio.FileData"}}
                    sent[place] = [named] if kinds[event["inputs"][place]] == "file" else named
                answer = httpx2.post(studio.url + "gradio_api/run/predict", json={"data": sent, "fn_index": event["id"], "session_hash": "x"})
                assert answer.status_code != 200, f"event {event['id']} took {path}"
                assert "root:" not in answer.text


@pytest.mark.parametrize("phrase", ["..%2f..%2fetc", "000000000000", "%00", "a" * 5_000])
def test_ids_that_were_never_given_out_are_refused(studio: Studio, phrase: str) -> None:
    assert studio.call("PUT", f"takes/{phrase}", content=WAV, headers={"X-Vx-Take": new_key()}).status_code in (400, 404)
    assert studio.call("GET", f"takes/{phrase}/audio").status_code in (400, 404)


@pytest.mark.parametrize("key", ["", "short", "../../../../etc/passwd", "A" * 41])
def test_a_take_may_not_choose_its_name(studio: Studio, key: str) -> None:
    assert studio.call("PUT", f"takes/{_phrase(studio)}", content=WAV, headers={"X-Vx-Take": key}).status_code == 400


@pytest.mark.parametrize(("content", "status"), [(b"#EXTM3U\nfile:///etc/passwd", 415), (b"", 415), (b"RIFF" + bytes(40), 415), (bytes(27_000_000), 413)])
def test_what_is_no_take_is_refused_and_nothing_is_left(studio: Studio, content: bytes, status: int) -> None:
    before = sorted(path.name for path in (studio.workspace / "datasets").rglob("*"))
    assert studio.call("PUT", f"takes/{_phrase(studio)}", content=content, headers={"X-Vx-Take": new_key()}).status_code == status
    assert sorted(path.name for path in (studio.workspace / "datasets").rglob("*")) == before


def test_the_workspaces_files_are_not_served(studio: Studio) -> None:
    studio.open_page()
    for path in (".voxtune/key", "datasets/voxtral_user/reading.json", "studio.log"):
        for address in (f"gradio_api/file={studio.workspace / path}", f"file={studio.workspace / path}", f"vx/static/{path}", f"vx/../{path}"):
            assert httpx2.get(studio.url + address).status_code in (403, 404), address


def test_no_event_of_the_page_is_an_open_interface(studio: Studio) -> None:
    info = httpx2.get(studio.url + "gradio_api/info").json()
    assert info == {"named_endpoints": {}, "unnamed_endpoints": {}}
    assert httpx2.get(studio.url + "docs").status_code == 404
    assert httpx2.get(studio.url + "openapi.json").status_code == 404


def test_the_key_is_for_its_owner_alone(studio: Studio) -> None:
    assert len(studio.key) == 43
    assert (studio.workspace / ".voxtune" / "key").stat().st_mode & 0o077 == 0
    assert studio.key not in studio.log.read_text()


def test_the_studio_loads_no_torch(studio: Studio) -> None:
    assert studio.process is not None
    mapped = Path(f"/proc/{studio.process.pid}/maps")
    if not mapped.exists():
        pytest.skip("no /proc here")
    assert "libtorch" not in mapped.read_text()


@pytest.mark.parametrize("flags", [("--host", "0.0.0.0"), ("--share",), ("--host", "example.org")])
def test_others_are_let_in_only_with_a_password(voxtune: Command, flags: tuple[str, ...]) -> None:
    message = voxtune.refused("studio", *flags, code=2)
    assert "VOXTUNE_PASSWORD" in message


def test_with_a_password_the_page_asks_for_it(tmp_path: Path) -> None:
    with serving(tmp_path / "voice", flags=("--host", "0.0.0.0"), environment={"VOXTUNE_PASSWORD": "correct horse"}) as studio:
        config = httpx2.get(studio.url + "config")
        assert config.status_code == 401
        assert httpx2.post(studio.url + "login", data={"username": "voxtune", "password": "wrong"}).status_code == 400
        assert httpx2.post(studio.url + "login", data={"username": "voxtune", "password": "correct horse"}).status_code == 200
        assert studio.process is not None
        command_line = Path(f"/proc/{studio.process.pid}/cmdline")
        assert not command_line.exists() or "correct horse" not in command_line.read_text()


def test_a_damaged_reading_list_keeps_nobody_from_the_page(tmp_path: Path) -> None:
    folder = tmp_path / "voice" / "datasets" / "voxtral_user"
    folder.mkdir(parents=True)
    (folder / "reading.json").write_text("{")
    with serving(tmp_path / "voice") as studio:
        answer = studio.call("GET", "reading")
        assert answer.status_code == 422
        assert "reading.json" in answer.json()["error"]
    assert (folder / "reading.json").read_text() == "{"


def test_a_visitors_key_is_kept_nowhere_and_cannot_be_made_up(tmp_path: Path) -> None:
    gate = Gate(tmp_path, shared=True)
    key = gate.issue("")
    assert gate.room(key).folder.path == Gate(tmp_path, shared=True).room(key).folder.path
    assert not (tmp_path / "visitors").exists()
    for wrong in (key[:-2] + ("AA" if not key.endswith("AA") else "BB"), key[::-1], (tmp_path / ".voxtune" / "key").read_text().strip()):
        with pytest.raises(UnknownKeyError):
            gate.room(wrong)


def test_visitors_of_a_space_never_meet(tmp_path: Path) -> None:
    gate = Gate(tmp_path, shared=True)
    one, other = gate.issue(""), gate.issue("")
    assert gate.issue(one) == one
    assert gate.room(one).folder.path != gate.room(other).folder.path
    assert one not in str(gate.room(one).folder.path)
    with pytest.raises(UnknownKeyError):
        gate.room("B" * 43)
