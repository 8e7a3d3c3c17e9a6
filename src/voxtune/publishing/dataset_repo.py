"""A dataset at the Hugging Face Hub: the layout that its viewer plays and `datasets` loads, our own list of clips, and a card.

    README.md    data.jsonl    train|validation|test/metadata.jsonl    train|validation|test/*.wav

A clip is named by its sound, so that the same clip is sent once, whatever becomes of the others, and its name tells nothing of the
person, the day or the computer. Loads no torch.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace as with_changes
from pathlib import Path

import soundfile

from voxtune import __version__, files
from voxtune.dataset import checks, exporters, store
from voxtune.dataset.clips import SPLITS, Clip, Split
from voxtune.dataset.store import Dataset, read_about
from voxtune.errors import CallError, DatasetError, HubError, InUseError
from voxtune.publishing import consent, dataset_card, dataset_record, hub, records
from voxtune.publishing.account import check_name, publisher
from voxtune.publishing.belongings import PUBLISHING_LOCK, beside
from voxtune.publishing.calls import Progress, silent
from voxtune.publishing.card_text import check_licence
from voxtune.publishing.dataset_record import Staged
from voxtune.publishing.hub import Published
from voxtune.recordings.takes import Takes
from voxtune.workspace import DATA_FILE, DATASET_FILE, RecordingsFolder

STEP = "dataset"
"""Its name in published.json."""

_OURS = re.compile(rf"README\.md|{re.escape(DATA_FILE)}|(?:{'|'.join(SPLITS)})/(?:metadata\.jsonl|[0-9a-f]{{20}}\.wav)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d(?::\d\d(?::\d\d)?)?)?Z?")


def push(
    data: str | Path,
    repo: str,
    *,
    private: bool = True,
    license: str | None = None,  # noqa: A002 - the Hub's word, and that of the flag
    replace: bool = False,
    progress: Progress | None = None,
) -> Published:
    """Publish a dataset as it is now, complete or not at all; what is there already is not sent again, and clips that it lost are removed.

    `license` is kept for the next time; without one it cannot be public. Raises CallError, before anything is asked of the Hub, where
    that or somebody's consent is missing; DatasetError that names what is wrong with clips; InUseError while it is being published
    already, and as `hub.publish` does; HubError.
    """
    say = progress or silent
    check_name(repo)
    folder = store.locate(data).parent
    licence, agreed = licence_of(folder, license, private=private), consent.require(folder)
    _, name = publisher(repo)
    with files.locked(folder / PUBLISHING_LOCK), beside(folder, STEP) as place:
        dataset = store.load(data, strict=False)
        _refuse_thrown_away(dataset)
        _refuse_problems(dataset, say)
        staged = stage(dataset, place / "dataset", progress=say)
        record = dataset_record.of(dataset, staged, repo=name, consent=agreed, licence=licence)
        files.put(place / "dataset" / "README.md", dataset_card.build(record).encode())
        published = _sent(
            name,
            place / "dataset",
            private=private,
            message=f"{len(staged)} clips, by voxtune {__version__}",
            replace=replace,
            records_of=folder,
            progress=records.noting_the_start(folder, STEP, "dataset", name, say),
        )
        if licence is not None:
            consent.tell(folder, license=licence)
        records.finished(folder, STEP, {**published.as_json(), "license": licence})
    return published


def _sent(repo: str, folder: Path, *, private: bool, message: str, replace: bool, records_of: Path, progress: Progress) -> Published:
    """Publish the staged files. A clip that was thrown away, and what a dataset held before it is public, stay in no commit."""
    before = hub.look("dataset", repo)
    shown = before is not None and not before.private
    unfinished = records.is_unfinished(records_of, STEP)
    # Another dataset of ours, as of another machine: its clips would be removed as if they had been thrown away.
    another = before is not None and before.repo not in records.all_places(records_of, STEP) and any(_OURS.fullmatch(path) for path in before.files)
    if before is not None and another and before.is_ours and not replace:
        hint = "Choose another name; or allow it with --replace: what is there stays in its history."
        raise InUseError(f"{before.url} holds another dataset than this one; nothing was changed.", hint=hint)

    def publish(*, private: bool) -> Published:
        ours = lambda path: _OURS.fullmatch(path) is not None  # noqa: E731 - a callback of one line
        return hub.publish("dataset", repo, folder, private=private, message=message, ours=ours, replace=replace, gated=not private, progress=progress)

    first = publish(private=private or not shown)
    removed = any(not (folder / path).exists() for path in first.sent)
    if not another and (before is None or before.is_ours) and (removed or unfinished or (first.private and not private)):
        try:
            hub.forget_history("dataset", repo)
        except HubError as error:
            still = f"{repo} is complete and {'private' if first.private else 'public'}; its history still holds what was removed from it: publish again."
            raise HubError(f"{error.message.rstrip('.')}. {still}", hint=error.hint, code=error.code, status=error.status) from None
    elif first.private == private:
        return first
    return with_changes(publish(private=private), sent=first.sent)


def licence_of(folder: Path, given: str | None, *, private: bool) -> str | None:
    """The licence to publish under: the given one, else that of the last time. Raises CallError for none that is known, or a public dataset without one."""
    chosen = given or read_about(folder / DATASET_FILE).get("license") or records.read(folder).get(STEP, {}).get("license")
    if chosen is not None:
        check_licence(str(chosen))
    elif not private:
        hint = "Choose one with --license, such as cc-by-4.0; what is under no licence nobody else may use."
        raise CallError("a public dataset needs a licence.", hint=hint)
    return chosen


def _refuse_thrown_away(dataset: Dataset) -> None:
    """Takes are thrown away in their journal; data.jsonl has them until it is made anew."""
    trashed = {take.file for take in Takes(RecordingsFolder(dataset.file.parent)).all().values() if take.trashed}
    if gone := [clip.audio_path for clip in dataset.clips if clip.audio_path in trashed]:
        hint = "Bring it up to date first: Dataset, Create, in the studio (`voxtune`). Nothing was sent."
        raise DatasetError(f"{len(gone)} of its recordings were thrown away since it was made.", file=dataset.file, hint=hint)


def _refuse_problems(dataset: Dataset, say: Progress) -> None:
    done = 0

    def move() -> None:
        nonlocal done
        done += 1
        say("looking at clips", done, len(dataset.clips))

    found, _ = checks.check(dataset.clips, dataset.bad_lines, progress=move)
    errors = [problem for problem in found if problem.severity == "error"]
    if errors:
        shown = "".join(f"\n  {problem.file}" + (f" (line {problem.line})" if problem.line else "") + f": {problem.message}" for problem in errors[:10])
        more = f"\n  and {len(errors) - 10} more" if len(errors) > 10 else ""
        hint = f"`voxtune dataset check {dataset.file}` lists them all. Nothing was sent."
        raise DatasetError(f"{len(errors)} problems:{shown}{more}", file=dataset.file, hint=hint)
    if not dataset.clips:
        raise DatasetError("there is no clip in it.", file=dataset.file, hint="Record some sentences first.")


def stage(dataset: Dataset, folder: Path, *, progress: Progress = silent) -> list[Staged]:
    """Write the clips and their lists, all but the card, into the new `folder`; clips without a side are for training.

    Raises AudioError, DatasetError or DiskFullError.
    """
    staged = []
    with files.new_folder(folder) as partial:
        for number, clip in enumerate(dataset.clips, start=1):
            wav = exporters.as_wav(clip)
            side: Split = clip.split or "train"
            name = f"{hashlib.sha256(wav).hexdigest()[:20]}.wav"
            files.put(partial / side / name, wav)
            sound = soundfile.info(io.BytesIO(wav))
            staged.append(Staged(clip=clip, side=side, name=name, duration_s=float(sound.duration), rate_hz=int(sound.samplerate)))
            progress("gathering clips", number, len(dataset.clips))
        speakers = _numbered([each.clip for each in staged])
        has_language = any(each.clip.language for each in staged)
        for side in SPLITS:
            rows = [_metadata(each, speakers, has_language=has_language) for each in staged if each.side == side]
            if rows:
                _refuse_dates(side, [str(row["text"]) for row in rows], dataset.file)
                files.write_lines(partial / side / "metadata.jsonl", rows)
        has_split = {each.side for each in staged} == set(SPLITS)
        files.write_lines(partial / DATA_FILE, [_line(each, speakers, has_split=has_split) for each in staged])
    return staged


def _numbered(clips: Sequence[Clip]) -> Mapping[str | None, str]:
    """A number for each speaker, in whose place a name may have stood."""
    names = dict.fromkeys(clip.speaker for clip in clips if clip.speaker)
    return {name: f"speaker-{number}" for number, name in enumerate(names, start=1)}


def _metadata(each: Staged, speakers: Mapping[str | None, str], *, has_language: bool) -> dict[str, object]:
    """A row for `datasets`, which wants the same columns in every row of every split."""
    more = {"language": each.clip.language or ""} if has_language else {}
    named = {"speaker": speakers.get(each.clip.speaker, "")} if speakers else {}
    return {"file_name": each.name, "text": each.clip.text, **more, **named}


def _line(each: Staged, speakers: Mapping[str | None, str], *, has_split: bool) -> dict[str, object]:
    clip = each.clip
    more = {"language": clip.language, "speaker": speakers.get(clip.speaker), "split": each.side if has_split else None}
    return {"audio_path": f"{each.side}/{each.name}", "text": clip.text, **{name: value for name, value in more.items() if value}}


def _refuse_dates(side: str, texts: Sequence[str], file: Path) -> None:
    """The reader of `datasets` (Arrow's, of JSON) takes a column in which nothing but dates stands for moments in time, and loses the words."""
    if all(_DATE.fullmatch(text) for text in texts):
        hint = "Write one of them as it is spoken, or record another sentence."
        raise DatasetError(f"every transcript of {side} is a date ({texts[0]}), which would not be read as text.", file=file, hint=hint)
