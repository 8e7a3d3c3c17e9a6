"""A process that publishes many clips is killed half-way, and another goes on: what is sent twice is counted.

python -m tests.support.hub_killed xet|lfs FOLDER     prints one JSON object
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.support.hub import HubServer
from tests.support.hub_faults import PATHS, local, remote

CLIPS, CLIP_BYTES = 200, 40_000
REPO = "alice/many"
CHILD = """
import sys
from pathlib import Path
from voxtune.publishing.hub import publish
publish("dataset", "alice/many", Path(sys.argv[1]), private=True, message="many", ours=lambda path: False)
"""


def main() -> None:
    """Publish, kill, publish again."""
    transfer, place = sys.argv[1], Path(sys.argv[2])
    source = place / "clips"
    (source / "train").mkdir(parents=True)
    draw = random.Random(7)
    for number in range(CLIPS):
        (source / "train" / f"{number}.wav").write_bytes(draw.randbytes(CLIP_BYTES))
    path, method = PATHS["chunks" if transfer == "xet" else "blob"]
    with HubServer(place / "hub") as hub:

        def sent() -> int:
            taken = [call for call in hub.calls if call.method == method and re.search(path, call.path) and call.status]
            return sum(int(call.headers.get("content-length", 0)) for call in taken)

        environment = {**os.environ, **hub.environment(place, transfer="xet" if transfer == "xet" else "lfs")}
        command = [sys.executable, "-c", CHILD, str(source)]
        child = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        while sent() < CLIPS * CLIP_BYTES / 2 and child.poll() is None:
            time.sleep(0.002)
        child.kill()
        killed_with = child.wait()
        time.sleep(0.2)  # what was under way arrives or breaks off
        before, empty = sent(), not remote(hub, REPO)
        hub.calls.clear()
        subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
        told = {
            "killed_with": killed_with,
            "empty_after_the_kill": empty,
            "total_bytes": CLIPS * CLIP_BYTES,
            "sent_before_bytes": before,
            "sent_after_bytes": sent(),
            "overhead_bytes": 20_000,
            "whole": remote(hub, REPO) == local(source),
        }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
