"""A training run: a folder on disk, filled by transformers.Trainer."""
