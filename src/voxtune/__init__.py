"""voxtune: fine-tune Voxtral on your own voice. Importing it loads neither torch nor transformers."""

__version__ = "0.1.0"
