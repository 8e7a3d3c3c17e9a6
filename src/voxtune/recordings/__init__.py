"""Takes: what a person read aloud, judged, kept and never overwritten."""
