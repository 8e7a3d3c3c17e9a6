"""What this machine has and lacks for training. Each check loads what it looks at, so that a broken library is a finding and no crash."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import stat
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from voxtune import files, versions
from voxtune.doctor import hub
from voxtune.doctor.check import Check, State
from voxtune.model.names import DEFAULT_ON_GPU, tiny_folder

GIB = 2**30
CACHE_WAIT_S = 3.0
WEIGHTS_BYTES = 10 * GIB
"""What a download of Voxtral Mini takes."""
TINY_FILES = ("config.json", "generation_config.json", "model.safetensors", "processor_config.json", "tekken.json")


def checks(workspace: Path) -> list[Check]:
    """Everything that could keep a person from training into `workspace`; takes seconds, even where no network answers."""
    return [_packages(), _torch(), _cpu(), _memory(), *_folders(workspace), _audio(), *hub.checks(), _tiny()]


def _packages() -> Check:
    details = {"platform": platform.platform(), "executable": sys.executable, **versions.installed()}
    if wrong := versions.problems():
        return Check(name="packages", state="error", message=f"{'; '.join(map(str, wrong))}.", hint=versions.pip_command(wrong), details=details)
    return Check(name="packages", state="ok", message=f"voxtune {details['voxtune']} on Python {details['python']}; its packages fit.", details=details)


def _torch() -> Check:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Check(name="torch", state="error", message=f"PyTorch cannot be loaded: {error}.", hint="Install it: pip install torch")
    driver = shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists()
    details: dict[str, Any] = {"version": torch.__version__, "cuda_build": torch.version.cuda, "nvidia_driver": driver, "devices": []}
    with warnings.catch_warnings(record=True) as said:  # torch tells a driver that is too old by a warning
        warnings.simplefilter("always")
        try:
            details["devices"] = [_device(number) for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
        except RuntimeError as error:
            hint = "See with nvidia-smi whether another program holds the GPU."
            return Check(name="torch", state="error", message=f"the GPU does not answer: {str(error).splitlines()[0]}", hint=hint, details=details)
    version = f"PyTorch {torch.__version__}"
    if devices := details["devices"]:
        seen = "; ".join(f"{each['name']}, {each['free_bytes'] / GIB:.0f} of {each['total_bytes'] / GIB:.0f} GiB free" for each in devices)
        return Check(name="torch", state="ok", message=f"{version}: {seen}.", details=details)
    if driver and torch.version.cuda is None and torch.version.hip is None:
        hint = "Install PyTorch's CUDA build: https://pytorch.org/get-started/locally has the command."
        return Check(name="torch", state="warning", message=f"{version} is a CPU build, and this machine has an NVIDIA driver.", hint=hint, details=details)
    if driver:
        why = str(said[0].message).splitlines()[0] if said else "see CUDA_VISIBLE_DEVICES, and whether nvidia-smi lists one."
        return Check(name="torch", state="warning", message=f"{version} sees no GPU.", hint=why, details=details)
    mps = "Apple's GPU (MPS) is not used. " if torch.backends.mps.is_available() else ""
    hint = f"{mps}The tiny model trains on the CPU; {DEFAULT_ON_GPU} needs an NVIDIA GPU."
    return Check(name="torch", state="warning", message=f"{version}, no CUDA GPU.", hint=hint, details=details)


def _device(number: int) -> dict[str, Any]:
    import torch

    with torch.cuda.device(number):
        free, total = torch.cuda.mem_get_info()
        return {"name": torch.cuda.get_device_name(), "total_bytes": total, "free_bytes": free, "bf16": torch.cuda.is_bf16_supported(including_emulation=False)}


def _cpu() -> Check:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Check(name="cpu", state="ok", message=f"{usable} cores.", details={"usable": usable, "present": os.cpu_count(), "machine": platform.machine()})


def _memory() -> Check:
    try:
        import psutil
    except ImportError:
        return Check(name="memory", state="unknown", message="psutil is not installed.", hint="pip install psutil")
    memory = psutil.virtual_memory()
    limit = _memory_limit_bytes(memory.total)
    total, available = (min(value, limit or value) for value in (memory.total, memory.available))
    details = {"total_bytes": total, "available_bytes": available, "limit_bytes": limit}
    low = available < 4 * GIB
    hint = "Close other programs, or raise the container's limit." if low else ""
    return Check(name="memory", state="warning" if low else "ok", message=f"{available / GIB:.1f} of {total / GIB:.1f} GiB free.", hint=hint, details=details)


def _memory_limit_bytes(total: int) -> int | None:
    """What a container may use of it, by cgroup's version 2, then 1; None where that is all."""
    for file in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        with contextlib.suppress(OSError, ValueError):  # "max" is no number
            limit = int(file.read_text())
            return limit if limit < total else None
    return None


def _folders(workspace: Path) -> list[Check]:
    found = [
        _folder("workspace", lambda: workspace.absolute(), 2 * GIB, "error"),
        _folder("temporary_folder", lambda: Path(tempfile.gettempdir()), GIB, "error"),
    ]
    try:
        from huggingface_hub import constants
    except (ImportError, ValueError):  # told by the check of the Hub
        return found
    # A cache that others filled may be read-only on purpose, and a run goes on without Trackio.
    cache = _folder("hub_cache", lambda: Path(constants.HF_HUB_CACHE), WEIGHTS_BYTES, "warning")
    cache.details["size_bytes"] = _size_bytes(Path(constants.HF_HUB_CACHE))
    trackio = _folder("trackio_folder", lambda: Path(os.environ.get("TRACKIO_DIR") or Path(constants.HF_HOME) / "trackio"), GIB // 10, "warning")
    return [*found, cache, trackio]


def _folder(name: str, where: Callable[[], Path], need_bytes: int, unwritable: State) -> Check:
    details: dict[str, Any] = {"path": None, "free_bytes": None, "writable": False}
    try:
        path = place = where()
        details["path"] = str(path)
        while not place.exists():  # where it will be made
            place = place.parent
        details["free_bytes"] = free = files.free_bytes(place)
        with tempfile.TemporaryFile(prefix=files.PARTIAL, dir=place) as probe:
            probe.write(b"voxtune")
            probe.flush()
    except OSError as error:
        message = f"{details['path'] or 'it'} cannot be written to: {error.strerror}."
        return Check(name=name, state=unwritable, message=message, hint="Change its permissions, free space, or choose another.", details=details)
    details["writable"] = True
    low = free < need_bytes
    hint = f"{need_bytes / GIB:.1f} GiB should be free." if low else ""
    return Check(name=name, state="warning" if low else "ok", message=f"{path}: {free / GIB:.1f} GiB free.", hint=hint, details=details)


def _size_bytes(folder: Path) -> int | None:
    """None where counting takes too long."""
    size, until = 0, time.monotonic() + CACHE_WAIT_S
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # removed meanwhile
                about = (Path(parent) / name).lstat()
                size += about.st_size if stat.S_ISREG(about.st_mode) else 0
        if time.monotonic() > until:
            return None
    return size


def _audio() -> Check:
    try:
        import soundfile

        formats = sorted(soundfile.available_formats())
    except (ImportError, OSError) as error:
        return Check(name="audio", state="error", message=f"audio cannot be read: {error}.", hint="Install it again: pip install --force-reinstall soundfile")
    details = {"libsndfile": soundfile.__libsndfile_version__, "formats": formats}
    missing = [name for name in ("WAV", "FLAC", "OGG", "MP3") if name not in formats]
    message = f"libsndfile {details['libsndfile']} reads " + (f"no {', '.join(missing)}." if missing else "WAV, FLAC, OGG and MP3.")
    hint = "Install soundfile from PyPI, which brings a newer libsndfile; or convert such files." if missing else ""
    return Check(name="audio", state="warning" if missing else "ok", message=message, hint=hint, details=details)


def _tiny() -> Check:
    folder = tiny_folder()
    missing = [name for name in TINY_FILES if not (folder / name).is_file()]
    if not missing and _whole(folder / "model.safetensors"):
        return Check(name="tiny_model", state="ok", message="whole.", details={"path": str(folder), "missing": []})
    message = f"{', '.join(missing)} missing from {folder}." if missing else f"{folder / 'model.safetensors'} is cut off or damaged."
    hint = "Install voxtune again: pip install --force-reinstall --no-deps voxtune"
    return Check(name="tiny_model", state="error", message=message, hint=hint, details={"path": str(folder), "missing": missing})


def _whole(weights: Path) -> bool:
    """Whether a safetensors file is as long as its header says: 8 bytes of the header's length, the header in JSON, the numbers."""
    try:
        with weights.open("rb") as stream:
            size_bytes = weights.stat().st_size
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(min(length, size_bytes)))
        return bool(size_bytes == 8 + length + max(tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False
