"""A token is where it belongs and nowhere else: the whole journey with marked tokens, failures and --debug among it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

from tests.hub.trained import Practice
from tests.support.command import Done
from tests.support.command_lines import marked_command_lines
from tests.support.hub import Fault
from tests.support.hub.state import Token

WRITE, READ = "hf_SENTINELofTheWriteTokenXYZ", "hf_SENTINELofTheReadTokenXYZ"
MARK = b"SENTINEL"


def _places(folder: Path, *, but: Path) -> list[str]:
    """Files below a folder that hold a mark, also inside of ZIPs."""
    found = []
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_relative_to(but):
            data = file.read_bytes()
            if zipfile.is_zipfile(io.BytesIO(data)):
                with zipfile.ZipFile(io.BytesIO(data)) as archive:
                    data += b"".join(archive.read(name) for name in archive.namelist())
            if MARK in data or MARK in str(file).encode():
                found.append(str(file))
    return found


def test_a_token_is_nowhere_but_where_it_belongs(practice: Practice, tmp_path: Path) -> None:
    hub = practice.hub
    hub.tokens[WRITE], hub.tokens[READ] = Token("alice", "write"), Token("alice", "read", writes=False)
    run, data = practice.copy("secretive"), practice.data
    voxtune = replace(practice.voxtune, environment={**practice.voxtune.environment, "HF_TOKEN": WRITE, "VOXTUNE_SPACE_TOKEN": READ})
    said: list[Done] = []

    def call(*words: object, code: int = 0) -> None:
        done = voxtune(*words, "--debug")
        assert done.code == code, f"{words}: {done.out}{done.err}"
        said.append(done)

    hub.calls.clear()
    with marked_command_lines(MARK) as lines:
        call("push", "dataset", data, "secret-voice", "--voice", "synthetic", "--yes", "--json")
        hub.faults[:] = [Fault("POST", "/commit/", 403, times=1)]
        call("push", "model", run, "secret-model", "--yes", code=1)
        hub.faults[:] = [Fault("GET", "/api/whoami", 401, times=1)]
        call("push", "model", run, "secret-model", "--yes", code=1)
        hub.faults.clear()
        call("push", "model", run, "bob/secret-model", "--yes", code=1)
        call("push", "model", run, "secret-model", "--yes", "--json")
        call("card", run, "--push", "--yes")
        call("deploy", run, "secret-demo", "--wait", 0, "--yes", code=1)  # it has not been built by then
        call("doctor", "--bundle", tmp_path / "bundle.zip", "--json")

    assert lines == set()
    assert [done for done in said if MARK.decode() in done.out + done.err] == []
    assert (tmp_path / "bundle.zip").is_file()
    server = practice.run.parent / "server"
    # The Space's own folder of the server holds its secret in no file either: it is in its environment.
    assert _places(practice.run.parent, but=server) + _places(tmp_path, but=server) == []
    assert _places(server, but=practice.run.parent / "run") == []
    assert {name: secret["value"] for name, secret in hub.repos["space", "alice/secret-demo"].secrets.items()} == {"HF_TOKEN": READ}
    assert not any(MARK in call.body for call in hub.calls if not call.path.endswith(("/secrets", "/repos/create")))
    assert all(call.token in (None, WRITE, READ) or "/cas/" in call.path for call in hub.calls)
    assert not [call.path for call in hub.calls if call.token in (WRITE, READ) and call.host.startswith("localhost")]


def test_a_stored_token_is_readable_for_its_owner_alone(practice: Practice, tmp_path: Path) -> None:
    """The token is the client's to keep; what it makes of it is seen to."""
    hub = practice.hub
    hub.tokens[WRITE] = Token("alice", "write")
    environment = {**practice.voxtune.environment, **hub.environment(tmp_path, token=None)}
    environment.pop("HF_TOKEN")
    code = f"import huggingface_hub; huggingface_hub.login({WRITE!r}, add_to_git_credential=False)"
    base = {name: value for name, value in os.environ.items() if name != "HF_TOKEN"}
    subprocess.run([sys.executable, "-c", code], env={**base, **environment}, check=True, capture_output=True)
    stored = [file for file in (tmp_path / "hf").rglob("*") if file.is_file() and MARK in file.read_bytes()]
    assert stored
    assert {file.stat().st_mode & 0o077 for file in stored} == {0}
    done = replace(practice.voxtune, environment=environment)("doctor", "--json")
    assert "hf auth login" in done.out or "write" in done.out
    assert MARK.decode() not in done.out + done.err
