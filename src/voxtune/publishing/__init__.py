"""Publishing: dataset, model, card and demo Space on the Hugging Face Hub, each complete or not there."""
