"""Phrases to read aloud: where they come from and how they are chosen."""
