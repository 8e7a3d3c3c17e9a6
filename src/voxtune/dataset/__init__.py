"""Clips with their transcripts: JSONL in and out, importers, exporters and the split by sentence. Loads no torch."""
