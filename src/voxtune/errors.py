"""Every error that voxtune raises on purpose.

    VoxtuneError                what happened, and `hint`: what to do next
    |- CallError                the call was wrong: a path, a flag, a setting (exit code 2)
    |  |- SettingsError         a setting's name or value
    |  `- InUseError            something is already there, or at work, and would have been overwritten
    |- DiskFullError            no room to write; what was there is as it was
    |- AudioError               one audio file or clip; `code` from the closed set of `voxtune.dataset.checks`
    |- DatasetError             a dataset or a transcript file, with file and line where there is one
    |- ModelError               a model that is not there, not whole or not a Voxtral
    |- TrainingError            a run that failed or cannot go on
    |- EvaluationError          a comparison that would not be honest
    |- HubError                 the Hugging Face Hub refused, or did not answer
    `- MissingDependencyError   an extra or a program that is not installed

`assert` stands only where a failure would be our own bug.
"""

from __future__ import annotations

from pathlib import Path


class VoxtuneError(Exception):
    """Something that a person can act on: `message` says what and where, `hint` what to do."""

    exit_code = 1
    code = "unexpected"
    """What kind of failure it is, for programs: `failures.CODES` of training lists those of a run."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class CallError(VoxtuneError):
    """The call itself was wrong; nothing was done."""

    exit_code = 2
    code = "call"


class SettingsError(CallError):
    """A setting has an unknown name or a value outside what is allowed."""

    code = "settings"


class InUseError(CallError):
    """The place to write to is taken; what is there was left alone."""


class DiskFullError(VoxtuneError):
    """There is no room on the disk; earlier files are as they were."""

    code = "disk_full"

    def __init__(self, place: Path | str, *, need_bytes: int | None, have_bytes: int) -> None:
        needed = "" if need_bytes is None else f" needs {need_bytes / 1e6:,.3f} MB, and"
        super().__init__(
            f"the disk is full: {place}{needed or ' could not be written:'} {have_bytes / 1e6:,.3f} MB are free.",
            hint="Free some space and try again; nothing that was there before is damaged.",
        )
        self.need_bytes = need_bytes
        self.have_bytes = have_bytes


class AudioError(VoxtuneError):
    """One audio file cannot be used."""

    def __init__(self, code: str, file: Path | str, message: str, *, hint: str = "") -> None:
        super().__init__(f"{file}: {message}", hint=hint)
        self.code = code
        self.file = str(file)
        self.reason = message


class DatasetError(VoxtuneError):
    """A dataset or transcript file cannot be used; says the file and, where there is one, the line."""

    code = "data"

    def __init__(self, message: str, *, file: Path | str | None = None, line: int | None = None, hint: str = "") -> None:
        place = "" if file is None else f"{file}: " if line is None else f"{file}, line {line}: "
        super().__init__(place + message, hint=hint)
        self.reason = message
        self.file = None if file is None else str(file)
        self.line = line


class ModelError(VoxtuneError):
    """A model cannot be loaded, or is not a Voxtral."""

    code = "model"

    def __init__(self, message: str, *, hint: str = "", code: str = "model") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class TrainingError(VoxtuneError):
    """A training run failed or cannot go on; `suggestion` is a change of settings with which it should go."""

    def __init__(self, message: str, *, hint: str = "", code: str = "unexpected", suggestion: dict[str, object] | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.suggestion = suggestion or {}


class EvaluationError(VoxtuneError):
    """Base and tuned model cannot be compared honestly."""


class HubError(VoxtuneError):
    """The Hugging Face Hub refused or did not answer; the message says what is there and what is not.

    `code` is signed_out, token_refused, forbidden, not_found, conflict, limited, unreachable, storage, invalid, incomplete or
    unexpected; `status` the HTTP status, where there was one.
    """

    def __init__(self, message: str, *, hint: str = "", code: str = "unexpected", status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.status = status


class MissingDependencyError(VoxtuneError):
    """A package of an optional extra is needed and not installed, or of a version that does not do."""

    code = "versions"
