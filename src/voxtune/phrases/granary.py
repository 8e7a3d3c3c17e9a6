"""Sentences from nvidia/Granary, a corpus of transcribed speech in 25 languages: its text manifests, never its audio.

The manifests are JSON lines in `{language}/{corpus}/{language}_asr*.jsonl`, some of gigabytes. Several small slices spread over them
are read by HTTP ranges, so that sentences are of many speakers and topics. Licence and layout: https://huggingface.co/datasets/nvidia/Granary.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from voxtune import files
from voxtune.errors import VoxtuneError
from voxtune.phrases import cleaning

REPOSITORY = "nvidia/Granary"
LICENCE = "CC-BY-4.0 (YODAS: CC-BY-3.0)"
ATTRIBUTION = "Sentences from nvidia/Granary (https://huggingface.co/datasets/nvidia/Granary): YODAS, YouTube-Commons, VoxPopuli, LibriLight"

SLICE_BYTES = 256 * 1024
NUM_SLICES = 12
MAX_PER_RECORDING = 2
"""Sentences of one video or session, so that no single topic fills the list."""

CORPORA = ("ytc", "yodas", "voxpopuli", "librilight")
"""By how readable they are: VoxPopuli is parliament, LibriLight has no transcripts worth reading."""

_TIMEOUT_S = 10.0
_CACHE_SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Readable sentences of a language, each with its utterance."""

    revision: str
    sentences: list[str]
    references: list[str]


def candidates(language: str, *, seed: int, enough: int) -> Candidates:
    """Sentences of a language from the cache, else from the Hub (HF_ENDPOINT, HF_TOKEN and the Hub's store are honoured).

    Raises VoxtuneError where fewer than `enough` could be had, with the reason.
    """
    cached = _cache_file(language, seed)
    if (known := _read_cache(cached)) is not None and len(known.sentences) >= enough:
        return known
    found = _fetch(language, seed=seed)
    if len(found.sentences) < enough:
        raise VoxtuneError(f"Granary gave {len(found.sentences)} readable sentences of {language}, fewer than {enough}.", hint="Use --source pack.")
    files.write_json(cached, {"schema": _CACHE_SCHEMA, "revision": found.revision, "rows": list(zip(found.sentences, found.references, strict=True))})
    return found


def _cache_file(language: str, seed: int) -> Path:
    return platformdirs.user_cache_path("voxtune") / "phrases" / f"granary-{language}-{seed}.json"


def _read_cache(file: Path) -> Candidates | None:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
        rows = [(str(sentence), str(reference)) for sentence, reference in value["rows"]]
        whole = value["schema"] == _CACHE_SCHEMA
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Candidates(revision=str(value["revision"]), sentences=[row[0] for row in rows], references=[row[1] for row in rows]) if whole else None


def _fetch(language: str, *, seed: int) -> Candidates:
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.hf_api import RepoFile

    api = HfApi()
    try:
        revision = api.dataset_info(REPOSITORY, timeout=_TIMEOUT_S).sha
        assert revision, "the Hub names the commit of every repository"
        tree = api.list_repo_tree(REPOSITORY, path_in_repo=language, repo_type="dataset", revision=revision, recursive=True)
        sizes = {each.path: each.size for each in tree if isinstance(each, RepoFile)}
        manifests = _manifests(language, sizes)
        if not manifests:
            raise VoxtuneError(f"Granary has no manifest of {language}.", hint="Use --source pack.")
        wanted = _slices(manifests, random.Random(seed))
        with ThreadPoolExecutor(4) as pool:
            slices = list(pool.map(lambda each: _read_slice(revision, *each), wanted))
    except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise VoxtuneError(f"Granary could not be read: {lines[0]}", hint="Check the network, or use --source pack.") from error
    if not any(slices):
        raise VoxtuneError("Granary could not be read: the connection broke.", hint="Check the network, or use --source pack.")
    return _cleaned(slices, language, revision)


def _manifests(language: str, sizes: dict[str, int]) -> dict[str, int]:
    """Transcript manifests by their sizes, of the most readable corpora that the language has."""
    pattern = re.compile(rf"{language}/({'|'.join(CORPORA)})/{language}_asr(?:_\w+)?\.jsonl")
    found = {path: (match.group(1), size) for path, size in sizes.items() if (match := pattern.fullmatch(path))}
    corpora = sorted({corpus for corpus, _ in found.values()}, key=CORPORA.index)[:2]
    return {path: size for path, (corpus, size) in sorted(found.items()) if corpus in corpora}


def _slices(manifests: dict[str, int], rng: random.Random) -> list[tuple[str, int, int]]:
    """(path, first byte, last byte), spread evenly over the manifests; small ones are read whole."""
    per_file = max(1, NUM_SLICES // len(manifests))
    slices = []
    for path in rng.sample(sorted(manifests), min(len(manifests), NUM_SLICES)):
        size = manifests[path]
        if size <= per_file * SLICE_BYTES:
            slices.append((path, 0, size - 1))
            continue
        step = (size - SLICE_BYTES) / per_file
        for number in range(per_file):
            first = int(number * step + rng.random() * (step - SLICE_BYTES if step > SLICE_BYTES else 0))
            slices.append((path, first, first + SLICE_BYTES - 1))
    return slices


def _read_slice(revision: str, path: str, first: int, last: int) -> list[tuple[str, dict[str, Any]]]:
    """(corpus, row) of the whole lines in a slice; nothing of one whose connection breaks twice."""
    import httpx2
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]  # public, and not in __all__

    url = hf_hub_url(REPOSITORY, path, repo_type="dataset", revision=revision)
    headers = {**build_hf_headers(), "Range": f"bytes={first}-{last}"}
    for _ in range(2):
        try:
            response = get_session().get(url, headers=headers, timeout=_TIMEOUT_S, follow_redirects=True)
            hf_raise_for_status(response)
        except (httpx2.TransportError, httpx2.TimeoutException):
            continue
        data = response.content if response.status_code == 206 else response.content[first : last + 1]
        return [(path.split("/")[1], row) for row in _rows(data, starts_whole=first == 0)]
    return []


def _rows(data: bytes, *, starts_whole: bool) -> Iterator[dict[str, Any]]:
    lines = data.split(b"\n")
    # The first and last line of a slice are cut, but for the first of a file; a last line that is whole parses as JSON all the same.
    for line in lines if starts_whole else lines[1:]:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("text"), str):
            yield row


def _cleaned(slices: Sequence[list[tuple[str, dict[str, Any]]]], language: str, revision: str) -> Candidates:
    sentences: list[str] = []
    references: list[str] = []
    seen: set[str] = set()
    recordings: Counter[str] = Counter()
    for corpus, row in (each for rows in slices for each in rows):
        text, name = row["text"], str(row.get("utt_id") or row.get("audio_filepath") or "")
        duration = row.get("duration")  # null or "None" on every line of VoxPopuli
        if isinstance(duration, int | float) and len(text) > cleaning.MAX_CHARACTERS_PER_S * duration:
            continue
        recording = re.sub(r"[-_]\d+(\.\w+)?$", "", name)  # a video or session, without the number of the utterance
        for sentence in cleaning.sentences(text, language):
            if (key := cleaning.sentence_key(sentence)) in seen or recordings[recording] >= MAX_PER_RECORDING:
                continue
            seen.add(key)
            recordings[recording] += 1
            sentences.append(sentence)
            references.append(f"{corpus}/{name}")
    return Candidates(revision=revision, sentences=sentences, references=references)
