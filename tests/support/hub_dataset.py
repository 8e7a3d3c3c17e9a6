"""A published dataset as anybody loads it, in a process of its own: python -m tests.support.hub_dataset REPO prints one JSON object.

{"rows": [[split, sha256 of the sound, text, language, speaker]], "features": {...}, "said": [what each block of Python in its card prints]}
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import sys
import types
from pathlib import Path
from typing import Any

import datasets
from huggingface_hub import hf_hub_download


def stand_in() -> None:
    """datasets 5.2 asks for torchcodec before it takes the path of a file; nothing is encoded or decoded here, and it needs FFmpeg."""
    encoders = types.ModuleType("torchcodec.encoders")
    encoders.AudioEncoder = None  # type: ignore[attr-defined]
    sys.modules |= {"torchcodec": types.ModuleType("torchcodec"), "torchcodec.encoders": encoders}


def loaded(repo: str) -> dict[str, Any]:
    """Every row of every split, the sound by its hash."""
    dataset = datasets.load_dataset(repo).cast_column("audio", datasets.Audio(decode=False))
    rows = [
        [split, hashlib.sha256(Path(row["audio"]["path"]).read_bytes()).hexdigest(), row["text"], row.get("language"), row.get("speaker")]
        for split, side in dataset.items()
        for row in side
    ]
    return {"rows": rows, "features": {name: str(kind) for name, kind in next(iter(dataset.values())).features.items()}}


def said(repo: str) -> list[str]:
    """What the card's Python prints."""
    card = Path(hf_hub_download(repo, "README.md", repo_type="dataset")).read_text(encoding="utf-8")
    printed = []
    for block in re.findall(r"```python\n(.*?)```", card, re.DOTALL):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(block, "README.md", "exec"), {})
        printed.append(out.getvalue())
    return printed


if __name__ == "__main__":
    datasets.disable_progress_bars()
    stand_in()
    sys.stdout.write(json.dumps({**loaded(sys.argv[1]), "said": said(sys.argv[1])}))
