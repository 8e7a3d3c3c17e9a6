"""The studio: the whole journey on one page. The only place that loads gradio."""
