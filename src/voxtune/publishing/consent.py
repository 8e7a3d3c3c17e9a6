"""Whose voice it is: confirmed by a person before the first upload, and kept with the recordings."""

from __future__ import annotations

import datetime
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voxtune import files
from voxtune import settings as settings_files
from voxtune.dataset.store import read_about
from voxtune.errors import CallError, VoxtuneError
from voxtune.publishing import records
from voxtune.workspace import DATASET_FILE, RecordingsFolder, RunFolder, dataset_folder

_WAIT_S = 30.0

VOICES = {
    "own": "my own voice",
    "permission": "the voice of somebody who agreed to this being published",
    "synthetic": "a synthetic voice, nobody's own",
}
"""What may be confirmed, each as it completes "These are recordings of ..."."""

EITHER = "own_or_permission"
"""What --yes confirms, which does not say which."""
_MEANINGS = {**VOICES, EITHER: "the voice of whoever published them, or of somebody who agreed to it"}


@dataclass(frozen=True, kw_only=True)
class Consent:
    """What a person confirmed."""

    voice: str
    """One of VOICES, or EITHER."""
    confirmed_at: str
    """ISO 8601, UTC."""
    by: str
    """The account at the Hub."""

    @property
    def meaning(self) -> str:
        """As it completes "These are recordings of ..."."""
        return _MEANINGS[self.voice]


def given(folder: Path) -> Consent | None:
    """What was confirmed for a dataset's or a run's folder; for a run else that of the dataset that it was trained on."""
    for said in (_of_dataset(folder), records.read(folder).get("consent"), _of_trained_on(RunFolder(folder))):
        if isinstance(said, dict) and said.get("voice") in _MEANINGS:
            return Consent(voice=said["voice"], confirmed_at=str(said.get("confirmed_at", "")), by=str(said.get("by", "")))
    return None


def give(folder: Path, voice: str, *, by: str) -> Consent:
    """Keep what the account `by` confirmed now, in dataset.json or beside a run's records. Raises CallError for another voice."""
    if voice not in _MEANINGS:
        raise CallError(f"voice is {' | '.join(VOICES)}, not {voice!r}.", hint="Say whose voice it is.")
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    consent = Consent(voice=voice, confirmed_at=now, by=by)
    if not tell(folder, consent=asdict(consent)):
        records.note(folder, "consent", asdict(consent))
    return consent


def tell(folder: Path, **said: Any) -> bool:
    """Add to a dataset.json what a person said of the dataset; False where there is none to add to."""
    if not (folder / DATASET_FILE).is_file():
        return False
    with files.locked(RecordingsFolder(folder).dataset_lock, wait_s=_WAIT_S):
        files.write_json(folder / DATASET_FILE, {**read_about(folder / DATASET_FILE), **said})
    return True


def require(folder: Path) -> Consent:
    """What was confirmed. Raises CallError where nothing was."""
    found = given(folder)
    if found is None:
        raise CallError("nobody has confirmed yet whose voice this is.", hint="Say so with --voice own, --voice permission or --voice synthetic.")
    return found


def _of_dataset(folder: Path) -> Any:
    return read_about(folder / DATASET_FILE).get("consent")


def _of_trained_on(run: RunFolder) -> Any:
    if not run.settings.is_file():
        return None
    try:
        folder = dataset_folder(settings_files.load(run.settings, {}).data)
        return _of_dataset(folder) if folder else None
    except VoxtuneError:
        return None  # the dataset is not here any more, or was never
