"""Publishing while the Hub misbehaves, by a seed: run as a process, as the client reads its settings once.

python -m tests.support.hub_faults xet|lfs FOLDER FIRST LAST     prints one JSON object a script
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.hub import Fault, HubServer

PATHS = {
    "create": (r"/api/repos/create$", "POST"),
    "look": (r"/api/datasets/alice/[\w-]+$", "GET"),
    "tree": (r"/tree/", "GET"),
    "card": (r"/validate-yaml$", "POST"),
    "preupload": (r"/preupload/", "POST"),
    "batch": (r"/objects/batch$", "POST"),
    "blob": (r"/lfs/[0-9a-f]", "PUT"),
    "verify": (r"/lfs-verify|/verify", "POST"),
    "token": (r"/xet-write-token/", "GET"),
    "chunks": (r"/v1/xorbs/", "POST"),
    "shard": (r"/shards$", "POST"),
    "commit": (r"/commit/", "POST"),
}
ONLY = {"batch": "lfs", "blob": "lfs", "verify": "lfs", "token": "xet", "chunks": "xet", "shard": "xet"}
KINDS = ("limited", "busy", 500, 502, 504, "reset", "lost", "stall", 401, 403, "storage", 409, 412)
CLIENTS_OWN = ("tree", "preupload", "batch", "blob", "verify", "token", "chunks", "shard")
"""What huggingface_hub and hf_xet try again by themselves: six times, or as their settings say."""
TIMEOUT_S = 0.4


def fault(place: str, kind: Any, draw: random.Random) -> Fault:
    """One thing that goes wrong."""
    path, method = PATHS[place]
    times = draw.choice([1, 1, 2, None])
    if kind == "limited":
        return Fault.limited(path, draw.choice([1, 3, 20]), method, header=draw.choice(["Retry-After", "RateLimit"]), times=times)
    if kind == "busy":
        return Fault.busy(path, method, times=times)
    if kind == "storage":
        return Fault.storage_full(path, method, times=times)
    if kind == "reset":
        return Fault(method, path, "reset", times=times, after_bytes=draw.choice([None, 0, 0 if method == "GET" else 500]))  # some answers are shorter than 500
    if kind == "stall":
        return Fault(method, path, "stall", times=times, delay=2 * TIMEOUT_S)
    return Fault(method, path, kind, times=times)


def folder(place: Path, draw: random.Random) -> Path:
    """A dataset as it is published: a card, a manifest, some sound."""
    (place / "train").mkdir(parents=True, exist_ok=True)
    (place / "README.md").write_text("---\ntags:\n- voxtune\n---\n# A voice\n")
    names = [f"train/clip-{number}.wav" for number in range(draw.randint(1, 5))]
    for name in names:
        (place / name).write_bytes(draw.randbytes(draw.randint(200, 200_000)))
    (place / "data.jsonl").write_text("".join(json.dumps({"audio_path": name, "text": str(draw.random())}) + "\n" for name in names))
    return place


def local(place: Path) -> dict[str, str]:
    """SHA-256 of each file."""
    return {path.relative_to(place).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in place.rglob("*") if path.is_file()}


def remote(hub: HubServer, repo: str) -> dict[str, str]:
    """The same of the repository, as the server holds it."""
    if ("dataset", repo) not in hub.repos:
        return {}
    files = hub.repos[("dataset", repo)].files("main")
    return {path: hashlib.sha256(hub.read("dataset", repo, path)).hexdigest() for path in files if path != ".gitattributes"}


def script(hub: HubServer, seed: int, transfer: str, place: Path, slept: list[float]) -> dict[str, Any]:
    """Publish once through some faults, and once without."""
    from voxtune.errors import HubError
    from voxtune.publishing.hub import publish

    draw = random.Random(seed)
    possible = [name for name in PATHS if ONLY.get(name, transfer) == transfer]
    # Every kind and every place comes within thirty seeds; the rest is drawn.
    places = [possible[seed % len(possible)], *draw.sample(possible, draw.choice([0, 0, 1, 2]))]
    kinds = [KINDS[seed % len(KINDS)], *(draw.choice(KINDS) for _ in places[1:])]
    repo = f"alice/voice-{seed}"
    source = folder(place / str(seed), draw)
    before: dict[str, str] = {}
    if draw.random() < 0.3:  # something was published before, and a clip of it is gone now
        publish("dataset", repo, folder(place / f"{seed}-before", draw), private=True, message="before", ours=lambda path: path.startswith("train/"))
        before = remote(hub, repo)
    hub.calls.clear()
    slept.clear()
    hub.faults[:] = [fault(name, kind, draw) for name, kind in zip(places, kinds, strict=True)]
    given = list(hub.faults)
    told = [(name, kind, each.times) for name, kind, each in zip(places, kinds, given, strict=True)]
    outcome, code, message, began = "published", "", "", time.monotonic()
    try:
        publish("dataset", repo, source, private=True, message="through faults", ours=lambda path: path.startswith("train/"))
    except HubError as error:
        outcome, code, message = "told", error.code, str(error)
    # What is not a HubError ends the process with its traceback.
    seconds = time.monotonic() - began
    hub.faults.clear()
    now = remote(hub, repo)
    clips = len(list((source / "train").iterdir()))  # the check of each goes to one address
    tries = Counter((call.method, call.path) for call in hub.calls if call.fault)
    refused = Counter((call.method, call.path) for call in hub.calls if call.fault and call.status in (401, 403))
    result = {
        "seed": seed,
        "faults": told,
        "outcome": outcome,
        "code": code,
        "message": message,
        "seconds": round(seconds, 2),
        "whole": now == local(source),
        "as_before": now == before or set(now) <= {"README.md"},
        "private": ("dataset", repo) not in hub.repos or hub.repos[("dataset", repo)].private,
        "most_tries": max([0, *(count for (method, path), count in tries.items() if not _clients_own(path, method))]),
        "most_tries_of_client": max(
            [0, *(count / (clips if "verify" in path else 1) for (method, path), count in tries.items() if _clients_own(path, method))]
        ),
        "most_refused": max([0, *(count / (clips if "verify" in path else 1) for (_, path), count in refused.items())]),
        "asked": [_asked_s(each) for each in given if each.status == 429],
        "hits": [each.hits for each in given],
        "slept": [round(each, 2) for each in slept],
    }
    sent = _bytes_of_content(hub)
    hub.calls.clear()
    done = publish("dataset", repo, source, private=True, message="without faults", ours=lambda path: path.startswith("train/"))
    resent = _bytes_of_content(hub)
    again = publish("dataset", repo, source, private=True, message="again", ours=lambda path: path.startswith("train/"))
    return {
        **result,
        "whole_after": remote(hub, repo) == local(source),
        "sent_after": len(done.sent),
        "sent_again": len(again.sent),
        "sent_bytes": sent,
        "resent_bytes": resent,
    }


def _asked_s(limited: Fault) -> int:
    """The pause that a 429 asks for."""
    headers = limited.headers
    return int(headers["Retry-After"]) if "Retry-After" in headers else int(headers["RateLimit"].split("t=")[1])


def _bytes_of_content(hub: HubServer) -> int:
    """What large files cost in calls that came through."""
    places = [PATHS[name] for name in ("blob", "chunks")]
    taken = [call for call in hub.calls if not call.fault and any(call.method == method and re.search(path, call.path) for path, method in places)]
    return sum(int(call.headers.get("content-length", 0)) for call in taken)


def _clients_own(path: str, method: str) -> bool:
    return any(method == PATHS[name][1] and re.search(PATHS[name][0], path) for name in CLIENTS_OWN)


def main() -> None:
    """All scripts of a range."""
    transfer, place, first, last = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    slept: list[float] = []
    with HubServer(place / "hub") as hub:
        os.environ.update(hub.environment(place, transfer="xet" if transfer == "xet" else "lfs"), VOXTUNE_HUB_TIMEOUT=str(TIMEOUT_S))
        import huggingface_hub.utils._http as client

        # Nobody waits here; what would have been waited is kept.
        clock = type("Clock", (), {"sleep": staticmethod(lambda seconds: slept.append(seconds)), "time": time.time, "monotonic": time.monotonic})
        client.time = clock  # type: ignore[assignment]
        from voxtune.publishing import calls

        calls.time = clock  # type: ignore[assignment]
        for seed in range(first, last):
            sys.stdout.write(json.dumps(script(hub, seed, transfer, place, slept)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
