"""Pieces of work side by side: in their order, on shares of the cores, and none left running after an error."""

from __future__ import annotations

import multiprocessing
import sys
import threading

import pytest
import torch

from voxtune.model import cores


@pytest.fixture(autouse=True)
def _four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "count", lambda: 4)


def test_results_come_in_the_order_of_their_items_and_from_several_threads() -> None:
    together = threading.Barrier(2, timeout=30)

    def work(item: int) -> tuple[int, int]:
        together.wait()  # passes only where two are at work at once
        return item * item, threading.get_ident()

    found = cores.side_by_side(work, [3, 1])
    assert [square for square, _ in found] == [9, 1]
    assert len({thread for _, thread in found}) == 2
    assert cores.side_by_side(lambda item: item + 1, list(range(9))) == list(range(1, 10))


@pytest.mark.parametrize(("items", "each"), [(2, 2), (3, 1), (4, 1), (7, 1)])
def test_they_share_the_cores_and_leave_those_of_the_caller_as_they_were(items: int, each: int) -> None:
    before = torch.get_num_threads()
    assert cores.side_by_side(lambda _: torch.get_num_threads(), list(range(items))) == [each] * items
    assert torch.get_num_threads() == before


def test_a_single_one_has_all_cores_in_the_callers_own_thread() -> None:
    assert cores.side_by_side(lambda _: threading.get_ident(), ["one"]) == [threading.get_ident()]
    assert cores.side_by_side(lambda item: item, []) == []


def test_an_error_is_raised_when_all_have_ended() -> None:
    ended = []

    def work(item: int) -> None:
        if item == 1:
            raise ValueError("one")
        threading.Event().wait(0.2)
        ended.append(item)

    with pytest.raises(ValueError, match="one"):
        cores.side_by_side(work, [0, 1, 2])
    assert sorted(ended) == [0, 2]


def test_a_forked_process_has_threads_of_its_own() -> None:
    assert cores.side_by_side(lambda item: item, [1, 2]) == [1, 2]
    child = multiprocessing.get_context("fork").Process(target=lambda: sys.exit(cores.side_by_side(lambda item: item, [1, 2]) != [1, 2]))
    child.start()
    child.join(timeout=30)
    ended = child.exitcode
    child.kill()
    assert ended == 0
