"""`python -m voxtune` is `voxtune`."""

from voxtune.cli import main

if __name__ == "__main__":
    main()
