"""Which files are voxtune's own, in a dataset's folder, a run's and the workspace: those that may be deleted, and those that are somebody else's.

Known by their names, and by the lists that name them. Links are nobody's: what they lead to may be anything.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from voxtune import files
from voxtune.dataset.clips import read_lines
from voxtune.errors import VoxtuneError
from voxtune.recordings.takes import KEY, Takes
from voxtune.workspace import CLIPS_FOLDER, DATA_FILE, DATASET_FILE, PUBLISHED_FILE, RecordingsFolder, RunFolder, Workspace

PUBLISHING_LOCK = ".publishing.lock"
"""In a dataset's or a run's folder; held while something of it is published, and while it is deleted."""
DEPLOYING_LOCK, TRACKING_LOCK = ".deploying.lock", ".tracking.lock"
"""The same of a run, for what is waited for long, so that its card can be sent meanwhile."""
_RECORDS_LOCK = ".published.lock"
OF_RUN = (PUBLISHING_LOCK, DEPLOYING_LOCK, TRACKING_LOCK)
"""All of a run's."""
_STAGE = ".stage-"
_CHILDREN = r"\.?(?:evaluation|forgetting|publishing-\w+)(?:\.asked)?\.(?:log|json|lock)"
"""What commands that the studio starts leave behind."""
_UNFINISHED = rf"(?:.*/)?(?:{re.escape(files.PARTIAL)}|{re.escape(files.FORMER)}|{re.escape(_STAGE)}).*"
_CLIP = re.compile(rf"{CLIPS_FOLDER}/(?:clip-\d+-[0-9a-f]{{10}}|[0-9a-f]{{12}}-{KEY.pattern})\.wav|{_UNFINISHED}", re.DOTALL)
_OF_RUN = re.compile(rf"model/.*|checkpoints/(?:damaged-)?step-\d+(?:-\d+)?/.*|{_CHILDREN}|{_UNFINISHED}", re.DOTALL)
_OF_WORKSPACE = re.compile(rf"(?:gradio|downloads|listening)/.*|publishing/{_CHILDREN}|listening\.log|downloads\.lock", re.DOTALL)


@contextlib.contextmanager
def beside(folder: Path, step: str) -> Iterator[Path]:
    """A temporary folder within a dataset's or a run's, for the one process that works on a step of it.

    What a killed one leaves there, forgetting finds, and so does the next. Not `files.PARTIAL`, which others sweep: the studio when it
    starts, a run when it is resumed.
    """
    mark = f"{_STAGE}{step}-"
    for left in folder.glob(f"{mark}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=mark, dir=folder) as place:
        yield Path(place)


@dataclass(frozen=True, kw_only=True)
class Found:
    """The files of a folder."""

    ours: tuple[Path, ...]
    """In the order in which to delete them: by what is left, what is left is known again."""
    theirs: tuple[Path, ...]

    @property
    def num_bytes(self) -> int:
        """Of those that are ours."""
        return sum(path.lstat().st_size for path in self.ours if os.path.lexists(path))


def of_dataset(folder: RecordingsFolder) -> Found:
    """Recordings, of which some may be in the trash, with the lists, journals and locks of their dataset."""
    lists = [folder.path / DATA_FILE, folder.takes, folder.reading, folder.path / DATASET_FILE, folder.path / PUBLISHED_FILE]
    locks = [folder.reading_lock, folder.dataset_lock, folder.path / PUBLISHING_LOCK, folder.path / _RECORDS_LOCK]
    listed = set(_listed(folder))
    return _sorted(folder.path, [*lists, *locks], lambda name: name in listed or _CLIP.fullmatch(name) is not None)


def _listed(folder: RecordingsFolder) -> Iterator[str]:
    """Clips that the dataset or the journal name, where clips are kept."""
    names = [take.file for take in Takes(folder).all().values()]
    with contextlib.suppress(VoxtuneError, OSError):  # a damaged list names nothing
        names += [clip.audio_path for clip in read_lines(folder.path / DATA_FILE)[0]]
    yield from (name for name in names if re.fullmatch(rf"{CLIPS_FOLDER}/[^/]+", name))


def of_run(run: RunFolder) -> Found:
    """A model with its checkpoints, and what is written of it."""
    written = [run.clips, run.first_batch, run.events, run.log, run.report, run.reserve, run.path / "README.md"]
    last = [run.path / PUBLISHED_FILE, run.settings, run.status, run.path / _RECORDS_LOCK, *(run.path / lock for lock in OF_RUN), run.lock]
    return _sorted(run.path, [*written, *last], lambda name: _OF_RUN.fullmatch(name) is not None)


def drafts(workspace: Workspace) -> Found:
    """What was sent, tried or fetched through the page and is not part of a dataset; the studio's key and its settings stay."""
    found = _sorted(workspace.private, [], lambda name: _OF_WORKSPACE.fullmatch(name) is not None)
    return Found(ours=found.ours, theirs=())


def _sorted(folder: Path, named: list[Path], is_ours: Callable[[str], bool]) -> Found:
    ours: list[Path] = []
    theirs: list[Path] = []
    places = {path: place for place, path in enumerate(named, start=1)}
    for path in sorted(_below(folder), key=lambda path: (places.get(path, 0), path)):
        plain = path.is_file() and not path.is_symlink()
        (ours if plain and (path in places or is_ours(path.relative_to(folder).as_posix())) else theirs).append(path)
    return Found(ours=tuple(ours), theirs=tuple(theirs))


def _below(folder: Path) -> Iterator[Path]:
    """Everything below a folder but plain folders; links to folders are told, and not followed."""
    for parent, folders, names in os.walk(folder):
        yield from (Path(parent) / name for name in [*names, *folders] if name in names or (Path(parent) / name).is_symlink())
