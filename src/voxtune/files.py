"""The only writer: what it writes is either whole or not there.

Files are written beside their place, flushed to disk and renamed; then the folder is flushed, so that the name survives a power
cut as well. Folders are filled under a temporary name and renamed when complete.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from voxtune.errors import CallError, InUseError

PARTIAL = ".partial-"
"""Names that begin with this are unfinished work and are never read."""


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=PARTIAL, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` in UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by `value` as indented JSON in UTF-8, whole or not at all."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def write_lines(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Replace `path` by one JSON object a line in UTF-8, whole or not at all."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows))


def put(path: Path, data: bytes) -> None:
    """Write `path` plainly, inside a folder of `new_folder`, which flushes all of it at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def append_line(path: Path, value: dict[str, Any]) -> None:
    """Append `value` as one line of JSON in one write, so that lines of several writers never mix."""
    line = json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_tree(folder: Path) -> None:
    """Make every file and name under `folder` survive a power cut."""
    for parent, _, names in os.walk(folder):
        for name in names:
            descriptor = os.open(Path(parent) / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        flush_folder(Path(parent))


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder to fill, and make it `path` at the end; on an error nothing of it is left.

    Raises InUseError if `path` is there already and is not an empty folder.
    """
    refuse_if_used(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=path.parent))
    partial.chmod(0o755)
    try:
        yield partial
        flush_tree(partial)
        if path.exists():
            path.rmdir()  # empty, or refused above; a folder that was filled meanwhile makes this fail and stays whole
        partial.rename(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    flush_folder(path.parent)


def refuse_if_used(path: Path) -> None:
    """Raise InUseError if `path` exists, unless it is an empty folder."""
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists() or path.is_symlink():
        raise InUseError(f"{path} is already there; nothing was changed.", hint="Choose another --output, or move that one away first.")


def read_text(path: Path) -> str:
    """The UTF-8 text of `path`, without a byte-order mark. Raises CallError where there is none to read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CallError(f"{path} does not exist.", hint="Check the path.") from None
    except IsADirectoryError:
        raise CallError(f"{path} is a folder, not a file.", hint="Name a file in it.") from None
    except OSError as error:
        raise CallError(f"{path} cannot be read: {error.strerror}.", hint="Check its permissions.") from None
    except UnicodeDecodeError as error:
        raise CallError(f"{path} is not UTF-8 text (byte {error.start}).", hint="Save it as UTF-8 and try again.") from None
