"""Where everything lies on disk. Names only: reading and writing is done by those who own the contents."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

SCHEMA = 1
"""Version of the file formats below, written into dataset.json and status.json."""

DATA_FILE = "data.jsonl"
DATASET_FILE = "dataset.json"
CLIPS_FOLDER = "wavs"
PUBLISHED_FILE = "published.json"

DATASETS, DEFAULT_DATASET = "datasets", "voxtral_user"
OUTPUTS = "outputs"


def dataset_folder(data: str | Path) -> Path | None:
    """The folder whose records tell of a dataset; None for a JSONL file of another name, which may lie beside somebody else's."""
    place = Path(data)
    return place if place.is_dir() else place.parent if place.name == DATA_FILE else None


@dataclass(frozen=True)
class RunFolder:
    """The files of one training run."""

    path: Path

    @property
    def shell(self) -> str:
        """The folder as it can be pasted into any shell, from anywhere."""
        return shlex.quote(str(self.path.resolve()))

    @property
    def settings(self) -> Path:
        """Exactly what to pass to `voxtune train` to reproduce the run."""
        return self.path / "settings.yaml"

    @property
    def status(self) -> Path:
        """State, stage and step, replaced as a whole at each change."""
        return self.path / "status.json"

    @property
    def clips(self) -> Path:
        """Which clips were trained on, validated on and held out for the test."""
        return self.path / "clips.jsonl"

    @property
    def events(self) -> Path:
        """One JSON object a line: metrics, stages, errors."""
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        """The plain log."""
        return self.path / "train.log"

    @property
    def checkpoints(self) -> Path:
        """Folders `step-N`, each complete or absent."""
        return self.path / "checkpoints"

    @property
    def first_batch(self) -> Path:
        """What the model saw of the first clips it trained on, and which of their tokens carried loss."""
        return self.path / "first_batch.json"

    @property
    def reserve(self) -> Path:
        """Room that is given back when the disk is full, so that the run can still say so."""
        return self.path / ".reserve"

    @property
    def lock(self) -> Path:
        """Held by the one process that may change the run."""
        return self.path / ".lock"

    @property
    def model(self) -> Path:
        """Adapter or full weights with the processor, as stock peft and transformers load them."""
        return self.path / "model"

    @property
    def report(self) -> Path:
        """The evaluation."""
        return self.path / "report.json"


@dataclass(frozen=True)
class RecordingsFolder:
    """The files of a dataset that grows by recording."""

    path: Path

    @property
    def takes(self) -> Path:
        """The journal: every take with its sentence and what was made of it, only ever appended to."""
        return self.path / "takes.jsonl"

    @property
    def reading(self) -> Path:
        """Which sentences are there to read, in which order, and how many are shown."""
        return self.path / "reading.json"

    @property
    def clips(self) -> Path:
        """The takes themselves: 16-bit PCM, mono, at the rate they were recorded at."""
        return self.path / CLIPS_FOLDER

    @property
    def reading_lock(self) -> Path:
        """Held while the reading list changes."""
        return self.path / ".reading.lock"

    @property
    def dataset_lock(self) -> Path:
        """Held while data.jsonl is made from the takes."""
        return self.path / ".dataset.lock"


@dataclass(frozen=True)
class Workspace:
    """A person's folder: datasets, runs, and what the studio keeps for itself."""

    path: Path

    def recordings(self, name: str = DEFAULT_DATASET) -> RecordingsFolder:
        """The dataset that the studio records into."""
        return RecordingsFolder(self.path / DATASETS / name)

    @property
    def outputs(self) -> Path:
        """Runs that nobody gave another place."""
        return self.path / OUTPUTS

    @property
    def private(self) -> Path:
        """What the studio keeps for itself: its key, and uploads that are not saved yet."""
        return self.path / ".voxtune"

    @property
    def downloads(self) -> Path:
        """ZIPs that wait for the browser that asked for them."""
        return self.private / "downloads"
