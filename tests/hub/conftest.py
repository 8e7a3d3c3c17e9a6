"""A Hub for each test: one server for all of them, which forgets everything in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from tests.hub.trained import practice
from tests.support.command import Command
from tests.support.hub import HubServer

__all__ = ["practice"]  # here, so that it is trained once for all modules


@pytest.fixture(scope="session")
def hub_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """The server that `hub` gives; fixtures that live longer than a test use it and reset it themselves."""
    with HubServer(tmp_path_factory.mktemp("hub")) as server:
        yield server


@pytest.fixture
def hub(hub_server: HubServer) -> HubServer:
    """A Hub with nothing in it, whose Spaces only say that they run."""
    hub_server.reset()
    return hub_server


@pytest.fixture(scope="session")
def spaces_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """A second server, whose Spaces really run."""
    with HubServer(tmp_path_factory.mktemp("hub-spaces"), run_spaces=True) as server:
        yield server


@pytest.fixture
def hub_with_spaces(spaces_server: HubServer) -> Iterator[HubServer]:
    """A Hub with nothing in it that really starts the apps of Spaces."""
    spaces_server.reset()
    yield spaces_server
    spaces_server.reset()


@pytest.fixture
def transfer() -> Literal["xet", "lfs"]:
    """How large files travel; `@pytest.mark.parametrize("transfer", ["xet", "lfs"])` goes both ways."""
    return "xet"


@pytest.fixture
def hub_command(hub: HubServer, voxtune: Command, transfer: Literal["xet", "lfs"], tmp_path: Path) -> Command:
    """The command line of somebody who is signed in at `hub` as alice."""
    return Command(folder=voxtune.folder, environment={**voxtune.environment, **hub.environment(tmp_path, transfer)})
