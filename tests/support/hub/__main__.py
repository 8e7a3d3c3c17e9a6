"""`python -m tests.support.hub`: a Hub to try things with."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
from pathlib import Path

from tests.support.hub import HubServer


def main() -> None:
    """Serve until stopped."""
    options = argparse.ArgumentParser(prog="python -m tests.support.hub", description="A Hugging Face Hub for tests, on this machine only.")
    options.add_argument("--folder", type=Path, help="where its bytes are kept (default: a temporary folder)")
    options.add_argument("--port", type=int, default=0, help="default: any that is free")
    options.add_argument("--run-spaces", action="store_true", help="really start the apps of Spaces")
    given = options.parse_args()
    # A terminated server must still end the Spaces that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory() as temporary, HubServer(given.folder or Path(temporary), run_spaces=given.run_spaces, port=given.port) as hub:
        tokens = [f"{name}: {token.user}, {token.role}{'' if token.writes else ', reads only'}" for name, token in hub.tokens.items()]
        sys.stdout.write("\n".join([f"HF_ENDPOINT={hub.url}", *tokens, ""]))
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            hub.wait()


main()
