"""What huggingface_hub's own tests need around them, as their conftest.py is not in the sdist; put beside them by `conformance.py`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol
from unittest import mock

import pytest
from huggingface_hub import HfApi, RepoUrl, constants

from .testing_constants import ENDPOINT_STAGING, TOKEN
from .testing_utils import repo_name

MARKS = ("api", "transfer", "inference", "xet", "no_xet", "production", "deprecated", "git_lfs", "vcr")


class RepoFactory(Protocol):
    """Makes repositories that are gone after the test."""

    def __call__(self, repo_type: str = "model", *, repo_id: str | None = None, token: str | None = None, **options: Any) -> RepoUrl:
        """One of them."""


def pytest_configure(config: pytest.Config) -> None:
    """The marks by which the tests are sorted."""
    for mark in MARKS:
        config.addinivalue_line("markers", mark)


@pytest.fixture(scope="session")
def api() -> HfApi:
    """A signed-in client."""
    return HfApi(endpoint=ENDPOINT_STAGING, token=TOKEN)


@pytest.fixture
def repo_factory(api: HfApi) -> Iterator[RepoFactory]:
    """Makes repositories that are gone after the test."""
    made: list[tuple[RepoUrl, str, str | None]] = []

    def make(repo_type: str = "model", *, repo_id: str | None = None, token: str | None = None, **options: Any) -> RepoUrl:
        url = api.create_repo(repo_id or repo_name(prefix=repo_type), repo_type=repo_type, token=token, **options)
        made.append((url, repo_type, token))
        return url

    yield make
    for url, repo_type, token in made:
        api.delete_repo(url.repo_id, repo_type=repo_type, token=token, missing_ok=True)


@pytest.fixture(autouse=True)
def _as_marked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("xet"):
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    if request.node.get_closest_marker("no_xet"):
        pytest.skip("hf_xet is installed")


class _Patcher:
    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack

    def __call__(self, target: str, *given: Any, **options: Any) -> Any:
        return self._stack.enter_context(mock.patch(target, *given, **options))

    def object(self, target: Any, name: str, *given: Any, **options: Any) -> Any:
        return self._stack.enter_context(mock.patch.object(target, name, *given, **options))


class _Mocker:
    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.patch = _Patcher(stack)


@pytest.fixture
def mocker() -> Iterator[_Mocker]:
    """As much of pytest-mock as the tests use."""
    with contextlib.ExitStack() as stack:
        yield _Mocker(stack)
