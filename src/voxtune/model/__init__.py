"""Voxtral itself: loading, adapting, and turning clips into exactly what it was trained on. Loads torch and transformers."""
