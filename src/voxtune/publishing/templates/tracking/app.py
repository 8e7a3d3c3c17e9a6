"""The curves of one training run in Trackio's dashboard, from figures.json beside this file. It needs no token and changes nothing."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ["TRACKIO_DIR"] = tempfile.mkdtemp(prefix="trackio-")  # read when trackio is loaded

import trackio
from trackio.sqlite_storage import SQLiteStorage

told: dict[str, Any] = json.loads(Path(__file__).with_name("figures.json").read_text(encoding="utf-8"))
rows: list[dict[str, Any]] = told["figures"]
SQLiteStorage.bulk_log(
    project=told["project"],
    run=told["run"],
    config=told["config"],
    steps=[row.pop("step") for row in rows],
    timestamps=[row.pop("at") for row in rows],
    metrics_list=rows,
)
trackio.show(project=told["project"], mcp_server=False, open_browser=False)
