"""The usual recipe of public Voxtral trainers, rendered plainly, as one process: what benchmarks/usual_recipe.py compares voxtune with.

transformers.Trainer over clips that are decoded when they are asked for; in every epoch the collator writes each batch as WAVs, base64 and mel padded
to 30 s (`apply_transcription_request`) and pads on the right; the tower runs in every step; logits of all positions. LoRA's targets are given by
short names, which are in the tower too (`--leak`), or in the language model only, which is what was meant. Not copied are their wrong labels (no
end of text, English always, text cut off at 256 tokens), so that losses compare. Sources: Deep-unlearning/Finetune-Voxtral-ASR, Josephrp/Voxtral-WIND.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import soundfile
import torch
from peft import LoraConfig, get_peft_model
from torch.utils.data import Dataset
from transformers import AutoProcessor, Trainer, TrainingArguments, VoxtralForConditionalGeneration, set_seed

SHORT_NAMES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
IN_LANGUAGE_MODEL = rf".*language_model\.layers\.\d+\.(?:self_attn|mlp)\.(?:{'|'.join(SHORT_NAMES)})"


class Clips(Dataset[dict[str, Any]]):
    """The training clips of a JSONL file, decoded anew each time."""

    def __init__(self, file: Path) -> None:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        self._rows = [{**row, "path": str(file.parent / row["audio_path"])} for row in rows if row["split"] == "train"]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._rows)

    def __getitem__(self, place: int) -> dict[str, Any]:
        """One clip: its sound [T] and its text."""
        row = self._rows[place]
        return {"audio": soundfile.read(row["path"], dtype="float32")[0], "text": row["text"]}


class Collator:
    """Clips to a batch, by the stock processor."""

    def __init__(self, processor: Any, model: str, language: str) -> None:
        self._processor, self._model, self._language = processor, model, language
        self._pad, self._end = (processor.tokenizer.convert_tokens_to_ids(name) for name in ("<pad>", "</s>"))

    def __call__(self, clips: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """A batch with labels."""
        arrays = [clip["audio"] for clip in clips]
        request = self._processor.apply_transcription_request(
            language=self._language, model_id=self._model, audio=arrays, format=["WAV"] * len(arrays), return_tensors="pt"
        )
        ids, labels = [], []
        for prompt, mask, clip in zip(request["input_ids"], request["attention_mask"], clips, strict=True):
            before = prompt[mask.bool()].tolist()
            text = [*self._processor.tokenizer.encode(clip["text"], add_special_tokens=False), self._end]
            ids.append([*before, *text])
            labels.append([*[-100] * len(before), *text])
        length = max(map(len, ids))
        return {
            "input_ids": torch.tensor([[*row, *[self._pad] * (length - len(row))] for row in ids]),
            "attention_mask": torch.tensor([[*[1] * len(row), *[0] * (length - len(row))] for row in ids]),
            "labels": torch.tensor([[*row, *[-100] * (length - len(row))] for row in labels]),
            "input_features": request["input_features"],
        }


def main() -> None:
    """Train, save, and write the loss of each step to losses.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--language", default="en")
    parser.add_argument("--leak", action="store_true", help="adapters by short names, in the tower too")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--accumulation", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--lora-r", type=int, default=8)
    parser.add_argument("--lora-alpha", type=int, default=32)
    parser.add_argument("--loader-workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    set_seed(options.seed)
    processor = AutoProcessor.from_pretrained(options.model)
    model = VoxtralForConditionalGeneration.from_pretrained(options.model, dtype=torch.float32)
    targets = SHORT_NAMES if options.leak else IN_LANGUAGE_MODEL
    adapted: Any = get_peft_model(model, LoraConfig(r=options.lora_r, lora_alpha=options.lora_alpha, lora_dropout=0.0, target_modules=targets, bias="none"))
    in_tower = any(each.requires_grad for name, each in adapted.named_parameters() if "audio_tower" in name)
    assert in_tower == options.leak, "short names are in the tower too, and the full path is not"
    arguments = TrainingArguments(
        output_dir=str(options.output),
        per_device_train_batch_size=options.batch_size,
        gradient_accumulation_steps=options.accumulation,
        num_train_epochs=options.epochs,
        learning_rate=options.learning_rate,
        lr_scheduler_type="linear",
        logging_steps=1,
        save_strategy="no",
        eval_strategy="no",
        use_cpu=True,
        dataloader_num_workers=options.loader_workers,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        report_to=[],
        disable_tqdm=True,
        seed=options.seed,
    )
    trainer = Trainer(model=adapted, args=arguments, data_collator=Collator(processor, options.model, options.language), train_dataset=Clips(options.data))
    trainer.train()
    trainer.save_model()
    processor.save_pretrained(options.output)
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    (options.output / "losses.json").write_text(json.dumps(losses), encoding="utf-8")


if __name__ == "__main__":
    main()
