"""The only writer: what it writes is either whole or not there.

Files are written beside their place, flushed to disk and renamed; then the folder is flushed, so that the name survives a power
cut as well. Folders are filled under a temporary name and renamed when complete.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from voxtune.errors import CallError, DiskFullError, InUseError, VoxtuneError

PARTIAL = ".partial-"
"""Names that begin with this are unfinished work and are never read."""

FORMER = ".former-"
"""Names that begin with this are what a folder was, until the new one is in its place."""


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, whole or not at all."""
    with _room_for(path, len(data)):
        _replace(path, data, durable=True)
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
    with _room_for(path, len(data)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def keep(path: Path, data: bytes) -> None:
    """Write `path` so that it is whole or absent, but after a power cut perhaps damaged: for what can be made again and is checked when read."""
    _replace(path, data, durable=False)


def _replace(path: Path, data: bytes, *, durable: bool) -> None:
    """Write beside `path` and rename; if `durable`, flushed to disk first and readable by all, else by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=PARTIAL, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        if durable:
            Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def append_line(path: Path, value: dict[str, Any], *, durable: bool = False) -> None:
    """Append `value` as one line of JSON, whole or not at all; lines of several writers never mix.

    Half a line that a killed writer left is ended first, so that it spoils no other. A `durable` line survives a power cut.
    """
    line = (json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n").encode()
    with _room_for(path, len(line)):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            before = os.fstat(descriptor).st_size
            if before and os.pread(descriptor, 1, before - 1) != b"\n":
                line = b"\n" + line
            try:
                if os.write(descriptor, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            except OSError:
                os.ftruncate(descriptor, before)
                raise
            if durable:
                os.fsync(descriptor)
                if not before:
                    flush_folder(path.parent)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _room_for(path: Path, need_bytes: int | None) -> Iterator[None]:
    """A full disk is told as DiskFullError."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskFullError(path, need_bytes=need_bytes, have_bytes=free_bytes(path)) from error
        raise


FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system says when there is no room, or none for this person."""


def free_bytes(path: Path) -> int:
    """Room on the disk on which `path` is, or will be."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


@contextlib.contextmanager
def locked(path: Path, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path`; the system frees it when this process ends, however it ends. Raises InUseError if another holds it for `wait_s`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    until = time.monotonic() + wait_s
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise InUseError(f"{path.parent} is in use by another process.", hint="Wait until it is done.") from None
                time.sleep(0.05)
        yield
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
    with _filled_aside(path) as partial:
        yield partial
        flush_tree(partial)
        try:
            partial.rename(path)  # takes the place of an empty folder, and of no other
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                refuse_if_used(path)  # made by another in the meantime
            raise


@contextlib.contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder to fill, and put it in the place of `path` at the end; on an error `path` is as it was."""
    with _filled_aside(path) as partial:
        yield partial
        flush_tree(partial)
        former = path.with_name(f"{FORMER}{path.name}")
        _recover(former)
        if path.exists():
            path.rename(former)
        try:
            partial.rename(path)
        except OSError:
            _recover(former)
            raise
        shutil.rmtree(former, ignore_errors=True)


@contextlib.contextmanager
def _filled_aside(path: Path) -> Iterator[Path]:
    with _room_for(path, None):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=path.parent))
        partial.chmod(0o755)
        try:
            yield partial
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        flush_folder(path.parent)


def _recover(former: Path) -> None:
    """Put back what was taken away for something that never came, or remove it where that did come."""
    place = former.with_name(former.name.removeprefix(FORMER))
    if former.exists() and not place.exists():
        former.rename(place)
    shutil.rmtree(former, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove from `folder` what a killed process left unfinished, and put back what it had taken away."""
    if folder.is_dir():
        for path in folder.glob(f"{FORMER}*"):
            _recover(path)
        for path in folder.glob(f"{PARTIAL}*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def remove(paths: Iterable[Path], *, below: Path) -> None:
    """Delete files for good, and then the folders that this leaves empty, up to and with `below`; what is gone already is no error.

    A link is deleted itself, and none is followed out of `below`. Raises VoxtuneError for what cannot be deleted; what comes after it stays.
    """
    root, parents = below.resolve(), {below}
    for path in paths:
        try:
            if not path.parent.resolve().is_relative_to(root):
                raise CallError(f"{path.parent} leads out of {below}; nothing there was deleted.", hint="Look at what it links to, and delete that by hand.")
            path.unlink(missing_ok=True)
        except OSError as error:
            raise VoxtuneError(f"{path} could not be deleted: {error.strerror}.", hint="Check its permissions and call it again: it goes on.") from None
        parents |= {parent for parent in path.parents if parent.is_relative_to(below)}
    for parent in sorted(parents, key=lambda each: len(each.parts), reverse=True):
        with contextlib.suppress(OSError):  # there is something else in it, or it is gone
            parent.rmdir()
            continue
        if parent.is_dir():
            flush_folder(parent)
    if below.parent.is_dir():
        flush_folder(below.parent)


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


def read_upload(path: str | Path, *, limit_bytes: int) -> str:
    """The text of a file that a person sent, of at most `limit_bytes`. Raises CallError."""
    if Path(path).stat().st_size > limit_bytes:
        raise CallError(f"the file is larger than {limit_bytes / 1e3:,.0f} kB.", hint="Send a smaller one.")
    return read_text(Path(path))
