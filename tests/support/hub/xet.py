"""The store behind Xet: the calls that hf_xet makes, over plain files.

Xorbs are opaque: only the headers of their chunks are walked, and clients are told which ranges of bytes to fetch. What a shard says
of a file is believed no further than until its bytes were read back and hashed (see `commits.py`).
Hashes are written as four 64-bit words, each the other way round.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECORD = 48
"""A shard is a header and records of so many bytes."""

END = b"\xff" * 32
HAS_SHA256 = 1 << 30
HAS_VERIFICATION = 1 << 31


@dataclass(frozen=True)
class Segment:
    """A part of a file: so many of its bytes are in these chunks of a xorb."""

    xorb: str
    size: int
    first: int
    last: int


def _name(raw: bytes) -> str:
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", raw))


class Cas:
    """Xorbs by their hashes, and files as lists of segments."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.token = f"xet-{url.rpartition('/')[2]}"
        self.files: dict[str, list[Segment]] = {}
        self.by_sha256: dict[str, str] = {}
        self._chunks: dict[str, list[tuple[int, int]]] = {}

    def xorb(self, name: str) -> Path:
        """Where a xorb lies."""
        return self.folder / f"xorb-{name}"

    def put_xorb(self, name: str, body: bytes) -> None:
        """Keep a xorb. Each chunk has a header of 8 bytes: version, packed size (3), scheme, size (3)."""
        chunks, place = [], 0
        while place + 8 <= len(body) and body[place] == 0:
            chunks.append((place, int.from_bytes(body[place + 5 : place + 8], "little")))
            place += 8 + int.from_bytes(body[place + 1 : place + 4], "little")
        self.xorb(name).write_bytes(body)
        self._chunks[name] = [*chunks, (place, 0)]

    def put_shard(self, body: bytes) -> None:
        """Learn which segments files are made of."""
        place = RECORD
        while body[place : place + 32] != END:
            name = _name(body[place : place + 32])
            flags, count = struct.unpack_from("<II", body, place + 32)
            segments = []
            for number in range(count):
                at = place + RECORD * (number + 1)
                segments.append(Segment(_name(body[at : at + 32]), *struct.unpack_from("<III", body, at + 36)))
            place += RECORD * (1 + count + (count if flags & HAS_VERIFICATION else 0))
            if flags & HAS_SHA256:
                self.by_sha256[_name(body[place : place + 32])] = name
                place += RECORD
            self.files[name] = segments

    def size(self, name: str) -> int:
        """How long a file is."""
        return sum(segment.size for segment in self.files[name])

    def reconstruction(self, name: str, start: int = 0, end: int | None = None, *, at: str = "") -> dict[str, Any] | None:
        """How to put a part of a file together; None where it begins after the file's end. `at`: another address of the same store."""
        total = self.size(name)
        if start >= total > 0:
            return None
        end = total if end is None else min(end, total)
        terms: list[dict[str, Any]] = []
        fetch: dict[str, list[dict[str, Any]]] = {}
        skip, place = None, 0
        for segment in self.files[name]:
            chunks, first, here = self._chunks[segment.xorb], segment.first, place
            while first < segment.last and here + chunks[first][1] <= start:
                here += chunks[first][1]
                first += 1
            stop, upto = first, here
            while stop < segment.last and upto < end:
                upto += chunks[stop][1]
                stop += 1
            place += segment.size
            if stop > first:
                skip = max(0, start - here) if skip is None else skip
                span = {"start": first, "end": stop}
                terms.append({"hash": segment.xorb, "unpacked_length": upto - here, "range": span})
                span_bytes = {"start": chunks[first][0], "end": chunks[stop][0] - 1}
                fetch.setdefault(segment.xorb, []).append({"range": span, "url": f"{at or self.url}/data/{segment.xorb}", "url_range": span_bytes})
        return {"offset_into_first_range": skip or 0, "terms": terms, "fetch_info": fetch}
