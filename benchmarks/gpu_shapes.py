"""Training and generation of Voxtral Mini's sizes with random weights on one GPU, and the usual recipe in the same run. `python benchmarks/gpu_shapes.py`.

A step is ours (training/steps.py, model/loss.py, what is frozen of the audio path run beforehand), from clips in memory to changed weights; clips are of
one chunk of 30 s and have 20 to 30 tokens to learn. A time is the median of some steps after two to warm up. Memory is the highest moment of these, as torch
has it in use and as it reserves it. Utilisation is the operations of a step (benchmarks/shapes/counting.py says which, and --check-flops holds it against
torch's count) by its time and by the best of some large matrix products on the same device. The usual recipe (public Voxtral trainers) has
batch 2 x 4, adapters by short names that leak into the tower's q, k and v, the tower in the graph, a mask, and logits of all positions; its processor
is timed apart, on one core. A part that fails or runs out of memory is a row, and the others go on. Targets decide nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.shapes import checking, telling
from benchmarks.shapes.parts import FULL, PARTS, SCOPES, USUAL, Parts, settings_of
from voxtune.model.voxtral import Precision


def _chosen() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-shape", choices=["tiny", "3b"], default="3b")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="the CPU trains in fp32, and is there to try this program out")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32], help="clips in a step of one forward pass")
    parser.add_argument("--generate-batches", nargs="+", type=int, default=[8, 32])
    parser.add_argument("--tokens", type=int, default=64, help="of each clip, to generate")
    parser.add_argument("--lora-dropout", type=float, default=0.05, help="of ours, but where it is held against the usual recipe, which has none")
    parser.add_argument("--repeats", type=int, default=5, help="steps of which a time is the median")
    parser.add_argument("--budget-s", type=float, default=420.0, help="no part begins after this many seconds")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, metavar="NAME", help=f"of: {'; '.join(PARTS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here too, after each part")
    parser.add_argument("--report", type=Path, metavar="FILE", help="only print what such a file holds, of a run that was cut short")
    parser.add_argument("--check-flops", action="store_true", help="only hold the count of operations against torch's, with the tiny model on the CPU")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    options = _chosen()
    if options.report:
        found = json.loads(options.report.read_text(encoding="utf-8"))
        print(telling.about(found["about"]), telling.report(found), sep="\n")
        return
    if options.check_flops:
        ways = {name: settings_of("tiny", name) for name in (*SCOPES, FULL[1])}
        for name, ratio in checking.ratios(ways, settings_of("tiny", USUAL)).items():
            print(f"{name}: {ratio:.3f} of torch's count")
        return
    if options.device == "cuda" and not torch.cuda.is_available():
        print("There is no NVIDIA GPU here; --model-shape tiny --device cpu tries this program out.")
        return
    cuda = options.device == "cuda"
    precision = Precision(device=options.device, autocast=cuda, frozen=torch.bfloat16 if cuda else torch.float32)
    parts = Parts(options, precision, lambda: _write(parts.found, options.json))
    print(telling.about(parts.found["about"]), flush=True)
    parts.run(options.parts)
    print(telling.report(parts.found))


def _write(found: dict[str, Any], file: Path | None) -> None:
    if file is not None:
        file.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
