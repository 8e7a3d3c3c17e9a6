"""Transcribing and scoring: the same functions validate a run while it trains and compare base and tuned model after it."""
