"""How the shipped tiny Voxtral is made: speech, tokenizer, network and training stages. Run `tools/build_tiny.py`."""
