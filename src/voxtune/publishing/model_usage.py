"""How a published model is used, as code that runs as it stands: with transformers and peft, and with vLLM."""

from __future__ import annotations

from string import Template

from voxtune.publishing.run_record import RunRecord

PLACEHOLDER = "OWNER/NAME"
"""Stands for the repository while there is none."""

_PACKAGES = {"adapter": "transformers peft accelerate 'mistral-common[audio]'", "merged": "transformers accelerate 'mistral-common[audio]'"}

_TRANSFORMERS = Template("""\
Install `pip install $packages` (written with transformers $transformers$peft_version). What is private needs `hf auth login` first.

```python
$imports
from transformers import AutoProcessor, VoxtralForConditionalGeneration

repo = "$repo"
$load
processor = AutoProcessor.from_pretrained(repo)

inputs = processor.apply_transcription_request("speech.wav", model_id=repo$language)
inputs = inputs.to(model.device, dtype=model.dtype)
outputs = model.generate(**inputs, max_new_tokens=1000, do_sample=False)
print(processor.batch_decode(outputs[:, inputs.input_ids.shape[1] :], skip_special_tokens=True)[0].strip())
```
""")
_LOAD_ADAPTER = Template("""\
base = VoxtralForConditionalGeneration.from_pretrained("$base"$pin, device_map="auto")
model = PeftModel.from_pretrained(base, repo).eval()""")
_LOAD_WHOLE = 'model = VoxtralForConditionalGeneration.from_pretrained(repo, device_map="auto").eval()'

_UNTRIED = "This is written after vLLM's source (2026-08) and was not tried by voxtune."
_VLLM_ADAPTER = Template("""\
This is an adapter of the language model alone, which vLLM can serve on top of its base. vLLM names the layers otherwise than transformers does, so they
are named anew in a copy first: with the names as they are it would serve the base model without a word. $untried

```python
from pathlib import Path

from huggingface_hub import snapshot_download
from safetensors.torch import load_file, save_file

folder = Path(snapshot_download("$repo", local_dir="for-vllm"))
weights = load_file(folder / "adapter_model.safetensors")
renamed = {name.replace(".model.language_model.layers.", ".language_model.model.layers."): weight for name, weight in weights.items()}
save_file(renamed, folder / "adapter_model.safetensors", metadata={"format": "pt"})
```

```sh
vllm serve $base $pin--tokenizer-mode mistral --config-format mistral --load-format mistral --enable-lora --max-lora-rank $rank --lora-modules tuned=./for-vllm
```
""")
_VLLM_MUST_MERGE = Template("""\
This adapter reaches beyond the language model ($parts), and vLLM serves adapters of a Voxtral's language model only: it must be merged into its base first.
Whoever has the run does that with `voxtune push model RUN REPO --what merged`, and the merged model's card says how it is served.
""")
_VLLM_WHOLE = Template("""\
vLLM reads a Voxtral in Mistral's own format, `consolidated.safetensors` and `params.json`, which are here besides the files for transformers. $untried

```sh
vllm serve $repo --tokenizer-mode mistral --config-format mistral --load-format mistral
```
""")
_VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
_VLLM_NOT = "vLLM reads a Voxtral in Mistral's own format only (`consolidated.safetensors` and `params.json`), and there is none of this model.\n"


def with_transformers(record: RunRecord) -> str:
    """Loading the model with stock libraries and transcribing `speech.wav`."""
    adapter = record.what == "adapter"
    peft = f", peft {record.versions['peft']}" if adapter and "peft" in record.versions else ""
    return _TRANSFORMERS.substitute(
        packages=_PACKAGES["adapter" if adapter else "merged"],
        transformers=record.versions.get("transformers", "5.10 or newer"),
        peft_version=peft,
        imports="from peft import PeftModel" if adapter else "",
        repo=record.repo or PLACEHOLDER,
        load=_LOAD_ADAPTER.substitute(base=record.base, pin=_pin(record, ', revision="{}"')) if adapter else _LOAD_WHOLE,
        language=f', language="{record.languages[0]}"' if record.languages else "",
    ).replace("```python\n\n", "```python\n")


def with_vllm(record: RunRecord) -> str:
    """Serving it with vLLM, or why that cannot be done."""
    repo = record.repo or PLACEHOLDER
    if record.what != "adapter":
        return _VLLM_WHOLE.substitute(repo=repo, untried=_UNTRIED) if record.mistral_format else _VLLM_NOT
    if record.parts != ("language_model",):
        return _VLLM_MUST_MERGE.substitute(parts=" and ".join(part.replace("_", " ") for part in record.parts if part != "language_model"))
    rank = next((each for each in _VLLM_RANKS if each >= record.settings.lora_r), record.settings.lora_r)
    return _VLLM_ADAPTER.substitute(repo=repo, base=record.base, rank=rank, pin=_pin(record, "--revision {} "), untried=_UNTRIED)


def _pin(record: RunRecord, form: str) -> str:
    return form.format(record.base_revision) if record.base_revision else ""
