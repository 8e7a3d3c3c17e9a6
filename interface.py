"""Start the studio: the same as `voxtune studio`, with its flags. A Hugging Face Space names this file as its app_file."""

import sys

from voxtune.cli import run

if __name__ == "__main__":
    sys.exit(run(["studio", *sys.argv[1:]]))
