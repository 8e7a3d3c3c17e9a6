"""The Hub that the other tests publish to: the real client finds everything where it expects it, over Xet and over LFS."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.hub import Fault, HubServer
from tests.support.hub.client import CARD, LARGE_BYTES

ROOT = Path(__file__).parent.parent.parent
ALICE = {"Authorization": "Bearer hf_write"}
BOTH = pytest.mark.parametrize("transfer", ["xet", "lfs"])


def client(hub: HubServer, step: str, folder: Path, transfer: Any = "xet") -> Any:
    """What the real client made of a step of tests/support/hub/client.py."""
    command = [sys.executable, "-m", "tests.support.hub.client", step, str(folder)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **hub.environment(folder, transfer)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def ask(hub: HubServer, method: str, path: str, *, token: str = "hf_write", **more: Any) -> httpx2.Response:
    return httpx2.request(method, hub.url + path, headers={"Authorization": f"Bearer {token}"} if token else {}, **more)


def _until_it_breaks(url: str) -> int:
    """How many bytes came before the connection broke."""
    got = 0
    with httpx2.stream("GET", url) as answer:
        try:
            for piece in answer.iter_raw():
                got += len(piece)
        except httpx2.TransportError:
            return got
    raise AssertionError("it did not break")


@BOTH
def test_everything_that_a_client_does_comes_out_right_and_no_token_reaches_the_cdn(hub: HubServer, tmp_path: Path, transfer: str) -> None:
    told = client(hub, "everything", tmp_path, transfer)
    files = [".gitattributes", "README.md", "model.safetensors", "sub/config.json"]
    titles = ["Upload README.md with huggingface_hub", "All of it", "initial commit"]
    assert told == {
        "unchanged_is_no_commit": True,
        "sizes": {".gitattributes": told["sizes"][".gitattributes"], "README.md": len(CARD), "model.safetensors": LARGE_BYTES, "sub/config.json": 8},
        "small": '{"a": 1}',
        "large_is_equal": True,
        "snapshot_is_equal": True,
        "titles": ["Tidy", "Delete a.txt with huggingface_hub", "Upload a.bin with huggingface_hub", "Upload a.txt with huggingface_hub", *titles],
        "tagged": ["v1"],
        "branches": ["feature/x", "main"],
        "proposed": True,
        "at_the_tag": files,
        "at_the_end": files,
        "tags": ["voice"],
        "searched": ["alice/model"],
        "by_its_old_name": "alice/renamed",
        "gone": True,
    }
    assert hub.repos == {}
    elsewhere = [call for call in hub.calls if call.host.startswith("localhost")]
    assert {call.path.split("/")[1] for call in elsewhere} == ({"lfs", "cdn"} if transfer == "lfs" else set())
    assert [call for call in elsewhere if call.token] == []
    assert {call.token for call in hub.calls if call.path.startswith("/cas/")} <= {None, hub.state.cas.token}


@BOTH
def test_what_was_sent_is_there_byte_by_byte(hub: HubServer, tmp_path: Path, transfer: str) -> None:
    revision = client(hub, "once", tmp_path, transfer)["revision"]
    repo = hub.repos["model", "alice/model"]
    sent = (tmp_path / "up" / "model.safetensors").read_bytes()
    assert repo.private
    assert repo.refs["main"] == revision
    assert hub.read("model", "alice/model", "model.safetensors") == sent
    large = repo.files("main")["model.safetensors"]
    assert (large.size, large.sha256, large.xet is not None) == (LARGE_BYTES, hashlib.sha256(sent).hexdigest(), transfer == "xet")
    assert [call.token for call in hub.calls if "/commit/" in call.path] == ["hf_write"]
    row = next(each for each in ask(hub, "GET", "/api/models/alice/model").json()["siblings"] if each["rfilename"] == "README.md")
    assert row == {"rfilename": "README.md"}
    part = httpx2.get(hub.url + "/alice/model/resolve/main/model.safetensors", headers={**ALICE, "Range": "bytes=10-19"}, follow_redirects=True)
    assert (part.status_code, part.content) == (206, sent[10:20])
    assert httpx2.get(f"{hub.state.cdn_url}/cdn/{large.sha256}").status_code == 403
    assert httpx2.get(f"{hub.state.cdn_url}/cdn/{large.sha256}?seal={hub.state.sealed(f'/cdn/{large.sha256}')}", headers=ALICE).status_code == 400


def test_of_a_file_that_is_nearly_there_only_the_new_part_travels(hub: HubServer, tmp_path: Path) -> None:
    client(hub, "nearly_the_same", tmp_path)
    sizes = [int(call.headers["content-length"]) for call in hub.calls if "/xorbs/" in call.path]
    assert sizes[0] > 7_000_000
    assert 0 < sum(sizes[1:]) < 1_000_000
    assert hub.read("model", "alice/model", "b.bin") == (tmp_path / "b.bin").read_bytes()


def test_datasets_are_pushed_and_read_back_whole_and_streamed(hub: HubServer, tmp_path: Path) -> None:
    assert client(hub, "dataset", tmp_path) == {"whole": True, "streamed": True}


def test_everybody_is_told_what_the_hub_would_tell_them(hub: HubServer, tmp_path: Path) -> None:
    told = client(hub, "refusals", tmp_path)
    assert [name for name, said in told.items() if said == "done"] == ["reader, look", "fine, upload", "mine, organisation"]
    assert {name: tuple(said[:2]) for name, said in told.items() if said != "done"} == {
        "revoked, who am I": ("HfHubHTTPError", 401),
        "revoked, create": ("HfHubHTTPError", 401),
        "reader, create": ("HfHubHTTPError", 403),
        "reader, upload": ("HfHubHTTPError", 403),
        "other, create": ("HfHubHTTPError", 403),
        "other, look": ("RepositoryNotFoundError", 404),
        "other, upload to public": ("HfHubHTTPError", 403),
        "other, gated file": ("GatedRepoError", 403),
        "nobody, look": ("RepositoryNotFoundError", 401),
        "fine, organisation": ("HfHubHTTPError", 403),
        "mine, again": ("HfHubHTTPError", 409),
        "mine, no revision": ("RevisionNotFoundError", 404),
        "mine, no file": ("RemoteEntryNotFoundError", 404),
        "mine, stale": ("HfHubHTTPError", 412),
        "mine, bad card": ("ValueError", None),
    }
    assert told["revoked, create"][2] == "Invalid credentials in Authorization header"
    assert told["reader, create"][2] == 'You don\'t have the rights to create a model under the namespace "alice"'
    assert told["mine, stale"][2].startswith("The branch was updated since")
    assert '"license" must be one of [' in told["mine, bad card"][2]


def test_who_somebody_is_and_what_their_token_may(hub: HubServer) -> None:
    roles = {name: ask(hub, "GET", "/api/whoami-v2", token=name).json()["auth"].get("accessToken", {}).get("role") for name in hub.tokens}
    assert roles == {"hf_write": "write", "hf_read": "read", "hf_fine": "fineGrained", "hf_fine_read": "fineGrained", "hf_oauth": None, "hf_other": "write"}
    person = ask(hub, "GET", "/api/whoami-v2", token="hf_fine_read").json()
    assert person["auth"]["accessToken"]["fineGrained"]["scoped"][0]["permissions"] == ["repo.content.read"]
    assert [(org["name"], org["roleInOrg"]) for org in person["orgs"]] == [("acme", "admin")]
    assert ask(hub, "POST", "/api/repos/create", token="hf_fine_read", json={"name": "x"}).status_code == 403
    assert ask(hub, "POST", "/api/repos/create", token="", json={"name": "x"}).status_code == 401


def test_faults_happen_where_they_should_and_as_often(hub: HubServer) -> None:
    busy = Fault.busy("whoami", times=2, skip=1)
    hub.faults += [busy, Fault.limited("whoami", 7), Fault.limited("whoami", 9, header="Retry-After"), Fault("GET", "whoami", 403, delay=0.05)]
    answers = [ask(hub, "GET", "/api/whoami-v2") for _ in range(6)]
    # The first is let through by the first fault, and meets the second.
    assert [answer.status_code for answer in answers] == [429, 503, 503, 429, 403, 200]
    assert answers[0].headers["RateLimit"] == '"api";r=0;t=7'
    assert answers[1].headers["Content-Type"].startswith("text/html")
    assert answers[3].headers["Retry-After"] == "9"
    assert answers[4].headers["X-Error-Message"] == answers[4].json()["error"] == "Authorization error."
    assert (busy.hits, busy.times) == (2, 0)
    assert [(call.status, call.fault) for call in hub.calls] == [(429, True), (503, True), (503, True), (429, True), (403, True), (200, False)]


def test_connections_break_before_in_the_middle_and_after(hub: HubServer) -> None:
    body = {"name": "made", "type": "dataset"}
    hub.faults[:] = [Fault("POST", "create", "reset"), Fault("POST", "create", "reset", after_bytes=5), Fault("POST", "create", "stall", delay=0.05)]
    for _ in range(3):
        with pytest.raises(httpx2.TransportError):
            ask(hub, "POST", "/api/repos/create", json=body)
    assert hub.repos == {}
    assert [call.status for call in hub.calls] == [0, 0, 0]
    hub.faults[:] = [Fault("POST", "create", "lost")]
    with pytest.raises(httpx2.TransportError):
        ask(hub, "POST", "/api/repos/create", json=body)
    assert list(hub.repos) == [("dataset", "alice/made")]
    hub.faults[:] = [Fault("GET", "/resolve/", "reset", after_bytes=10), Fault("GET", "/resolve/", "stall", after_bytes=10, delay=0.05)]
    for _ in range(2):
        assert _until_it_breaks(hub.url + "/datasets/alice/made/resolve/main/.gitattributes") == 10
    assert ask(hub, "GET", "/datasets/alice/made/resolve/main/.gitattributes").status_code == 200


def test_what_is_committed_is_all_or_nothing(hub: HubServer) -> None:
    ask(hub, "POST", "/api/repos/create", json={"name": "x"})
    before = hub.repos["model", "alice/x"].refs["main"]
    file = {"key": "file", "value": {"path": "a.txt", "content": "aGk=", "encoding": "base64"}}
    missing = {"key": "lfsFile", "value": {"path": "b.bin", "algo": "sha256", "oid": "0" * 64, "size": 3}}
    for wrong in (missing, {"key": "file", "value": {**file["value"], "path": "../b"}}, {"key": "deletedFile", "value": {"path": "gone"}}):
        lines = [{"key": "header", "value": {"summary": "s", "description": ""}}, file, wrong]
        answer = ask(hub, "POST", "/api/models/alice/x/commit/main", content="\n".join(json.dumps(line) for line in lines))
        assert answer.status_code in (400, 404, 422)
    assert hub.repos["model", "alice/x"].refs["main"] == before
    assert "a.txt" not in hub.repos["model", "alice/x"].files()


@pytest.mark.parametrize(
    ("kind", "metadata", "said"),
    [
        ("model", "license: apache-2", '"license" must be one of ['),
        ("model", "language: [en, xx-YY]", '"language[1]" must only contain lowercase characters'),
        ("model", "language: zq", "It must be an ISO 639-1, 639-2 or 639-3 code"),
        ("model", "base_model: /tmp/model", '"base_model" with value'),
        ("model", "base_model_relation: lora", '"base_model_relation" must be one of [adapter, finetune, merge, quantized]'),
        ("model", "model-index: [{results: []}]", '"model-index[0].name" is required'),
        ("model", "model-index: [{name: x, results: [{task: {type: a}, metrics: [{type: wer}]}]}]", '"model-index[0].results[0].metrics[0].value" is required'),
        ("dataset", "size_categories: huge", '"size_categories" must be one of ['),
        ("space", "title: x", '"sdk" is required'),
        ("space", "{sdk: gradio, colorFrom: mauve}", '"colorFrom" must be one of ['),
        ("space", "{sdk: gradio, python_version: 3.1}", '"python_version" with value'),
        ("space", "{sdk: gradio, suggested_hardware: t5}", '"suggested_hardware" must be one of ['),
        ("space", "{sdk: gradio, short_description: " + "x" * 61 + "}", "less than or equal to 60 characters"),
        ("model", "license: вільна", '"license" must be one of ['),
        ("model", "a: [", "Invalid YAML in metadata"),
    ],
)
def test_the_validator_refuses_as_the_hub_does(hub: HubServer, kind: str, metadata: str, said: str) -> None:
    asked = {"repoType": kind, "content": f"---\n{metadata}\n---\n# A card\n"}
    answer = ask(hub, "POST", "/api/validate-yaml", json=asked)
    assert (answer.status_code, said in answer.json()["error"]) == (400, True), answer.text
    text = httpx2.post(hub.url + "/api/validate-yaml", json=asked, headers={"Accept": "text/plain"})
    assert text.text.startswith("- Error: ")


def test_the_validator_lets_good_cards_pass_and_warns(hub: HubServer) -> None:
    results = "[{name: x, results: [{task: {type: a}, metrics: [{type: wer, value: 0.1}]}]}]"
    asked = [
        ("model", f"license: cc-by-4.0\nlanguage: [en, ast]\nbase_model: a/b\nmodel-index: {results}"),
        ("space", "sdk: gradio\nsdk_version: 6.31.0\npython_version: '3.12'\ncolorTo: indigo"),
        ("dataset", "license: other\nlanguage: de"),
    ]
    for kind, text in asked:
        said = ask(hub, "POST", "/api/validate-yaml", json={"repoType": kind, "content": f"---\n{text}\n---\n"})
        assert said.json() == {"errors": [], "warnings": []}
    odd = ask(hub, "POST", "/api/validate-yaml", json={"repoType": "model", "content": "---\npipeline_tag: asr\n---\n"}).json()
    assert odd["warnings"][0]["message"].startswith('"pipeline_tag" with value "asr" is not in the official list')


def test_somebody_signs_in_with_a_browser_or_with_a_code(hub: HubServer) -> None:
    places = ask(hub, "GET", "/.well-known/openid-configuration", token="").json()
    query = {"client_id": "c", "redirect_uri": "http://127.0.0.1:1/login/callback", "state": "s", "nonce": "n", "scope": "openid profile manage-repos"}
    back = httpx2.get(places["authorization_endpoint"], params=query).headers["Location"]
    code = re.fullmatch(r"http://127.0.0.1:1/login/callback\?code=([\w-]+)&state=s", back)
    assert code
    form = {"grant_type": "authorization_code", "code": code[1], "redirect_uri": query["redirect_uri"]}
    given = httpx2.post(places["token_endpoint"], data=form).json()
    assert given["id_token"].count(".") == 2
    assert httpx2.post(places["token_endpoint"], data=form).json()["error"] == "invalid_grant"
    assert ask(hub, "GET", "/oauth/userinfo", token=given["access_token"]).json()["preferred_username"] == "alice"
    assert ask(hub, "POST", "/api/repos/create", token=given["access_token"], json={"name": "by-oauth"}).status_code == 200
    waiting = httpx2.post(places["device_authorization_endpoint"], data={"client_id": "c"}).json()
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": waiting["device_code"]}
    assert httpx2.post(places["token_endpoint"], data=form).json()["error"] == "authorization_pending"
    httpx2.get(waiting["verification_uri_complete"])
    assert httpx2.post(places["token_endpoint"], data=form).json()["access_token"] in hub.tokens


def test_it_serves_from_the_command_line_until_it_is_stopped(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.hub", "--folder", str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    address = process.stdout.readline().strip().removeprefix("HF_ENDPOINT=")
    assert process.stdout.readline().strip() == "hf_write: alice, write"
    assert httpx2.get(address + "/api/whoami-v2", headers=ALICE).json()["name"] == "alice"
    process.send_signal(signal.SIGTERM)
    process.stdout.close()
    assert process.wait(20) == 0


def test_a_reset_leaves_nothing_not_even_for_the_clients_memory_of_chunks(hub: HubServer, tmp_path: Path) -> None:
    client(hub, "once", tmp_path)
    hub.faults.append(Fault.busy("/"))
    hub.reset()
    assert (hub.repos, hub.calls, hub.faults) == ({}, [], [])
    # The same home, whose cache says that these chunks are on the server: they are not.
    (tmp_path / "up").rename(tmp_path / "before")
    client(hub, "once", tmp_path)
    assert hub.read("model", "alice/model", "model.safetensors") == random.Random(7).randbytes(LARGE_BYTES)
