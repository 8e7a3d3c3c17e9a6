"""nvidia/Granary's manifests on loopback, in their true layout and with their traps; sentences are made on the spot."""

from __future__ import annotations

import http.server
import json
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

REVISION = "5f1c0de5" * 5

_WHO = ("Die alte Katze", "Unser Nachbar", "Meine Schwester", "Der junge Gärtner", "Das kleine Mädchen", "Ein müder Bäcker", "Die Lehrerin", "Mein Großvater")
_DOES = ("sucht heute", "fand gestern", "zeigt uns gern", "vergisst oft", "öffnet langsam", "verkauft bald", "prüft gerade", "träumt leise über")
_WHAT = (
    "den grünen Schlüssel",
    "eine süße Birne",
    "das schöne Fahrrad",
    "den kühlen Brunnen",
    "ein hübsches Kästchen",
    "die weiße Brücke",
    "den fünften Löffel",
)
_WHERE = ("im Garten", "am Bahnhof", "hinter der Küche", "auf dem Marktplatz", "neben dem Fluss", "vor der Tür", "unter dem Apfelbaum", "in der Stadt")


def sentence(rng: random.Random) -> str:
    """A German sentence that nobody has said before."""
    return f"{rng.choice(_WHO)} {rng.choice(_DOES)} {rng.choice(_WHAT)} {rng.choice(_WHERE)}."


TRAPS = (
    "♪ Die Musik spielt heute sehr laut im Garten. ♪",
    "[Applaus] Vielen Dank für die schöne Zeit.",
    "Untertitel im Auftrag des Senders für alle Leute.",
    "Besuchen Sie uns bald auf www.beispiel.de im Netz.",
    "ALLE KINDER GEHEN HEUTE IN DIE SCHULE.",
    "Im Jahr 1987 kamen 25 Leute in die Stadt.",
    "Ja ja ja ja ja ja das ist gut.",
    "Это предложение написано другими буквами здесь.",
    "und das ist nur ein halber Satz ohne Anfang",
    "Kurz.",
)


@dataclass
class Granary:
    """What is served, what was asked for, and what goes wrong."""

    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """(path, range) of each request for a file."""
    break_every: int = 0
    """Connections that break half-way: each so many-th one."""
    refuse: int = 0
    """The status with which every request is refused."""
    endpoint: str = ""
    opened: threading.Event = field(default_factory=threading.Event)
    """Nothing is answered before it is set."""

    def __post_init__(self) -> None:
        self.opened.set()


def manifest(language: str, corpus: str, *, lines: int, seed: int = 0) -> bytes:
    """A manifest as Granary has it: VoxPopuli without durations and in long lines, the others with some of one second."""
    rng = random.Random(f"{language} {corpus} {seed}")
    rows = []
    for number in range(lines):
        name = f"{corpus}_{rng.randrange(lines // 3 + 1):05d}_{number:06d}"
        text = " ".join(sentence(rng) for _ in range(6)) if corpus == "voxpopuli" else sentence(rng)
        duration: object = None if corpus == "voxpopuli" else round(len(text) / 15, 2)
        if number % 7 == 3:
            text = TRAPS[number // 7 % len(TRAPS)]
        elif number % 7 == 5 and corpus != "voxpopuli":
            text, duration = f"Eine Sekunde reicht für {sentence(rng)}", 1.0
        elif number % 14 == 6:
            duration = "None"
        rows.append(json.dumps({"utt_id": name, "audio_filepath": f"{corpus}/{name}.wav", "text": text, "duration": duration, "lang": language}))
    return ("\n".join(rows) + "\n").encode()


def german(*corpora: str, lines: int = 4_000) -> Granary:
    """Manifests of German in some corpora."""
    files = {f"de/{corpus}/de_asr.jsonl": manifest("de", corpus, lines=lines) for corpus in corpora}
    return Granary(files={**files, "de/ytc/de_ast-en.jsonl": b"{}\n", "de/README.md": b"no manifest\n"})


@contextmanager
def serve(granary: Granary) -> Iterator[Granary]:
    """Serve it as the Hub does."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            granary.opened.wait(60)
            if granary.refuse:
                self._answer(granary.refuse, b"{}")
            elif path == "/api/datasets/nvidia/Granary":
                self._answer(200, json.dumps({"id": "nvidia/Granary", "sha": REVISION, "siblings": []}).encode())
            elif match := re.fullmatch(rf"/api/datasets/nvidia/Granary/tree/{REVISION}/(\w+)", path):
                rows = [
                    {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
                    for name, data in granary.files.items()
                    if name.startswith(f"{match.group(1)}/")
                ]
                self._answer(200, json.dumps(rows).encode()) if rows else self._answer(404, b'{"error": "not in the tree"}')
            elif match := re.fullmatch(rf"/datasets/nvidia/Granary/resolve/{REVISION}/(.+)", path):
                self._file(match.group(1))
            else:
                self._answer(404, b"{}")

        def _file(self, name: str) -> None:
            wanted = self.headers.get("Range", "")
            granary.asked.append((name, wanted))
            first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", wanted).groups())  # type: ignore[union-attr]  # whole files must never be asked for
            data = granary.files[name][first : last + 1]
            self.send_response(206)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if granary.break_every and len(granary.asked) % granary.break_every == 0:
                self.wfile.write(data[: len(data) // 2])
                self.close_connection = True
                return
            self.wfile.write(data)

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    granary.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield granary
    finally:
        server.shutdown()
        server.server_close()
