"""The model card is about the weights that ship, and its figures are those that were measured."""

import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CARD = (ROOT / "docs/model-card.md").read_text("utf-8")
WEIGHTS = ROOT / "aec_core/pretrained.safetensors"


def test_hash_and_size_are_those_of_the_file():
    content = WEIGHTS.read_bytes()
    assert hashlib.sha256(content).hexdigest() in CARD
    assert f"{len(content):,} bytes" in CARD


def test_every_figure_of_the_table_was_measured():
    measured = (ROOT / "docs/results/evaluation.md").read_text("utf-8")
    table = CARD[CARD.index("## How good it is") : CARD.index("The spread over clips")]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "ERLE" not in line]
    assert len(rows) >= 5
    for row in rows:
        name, erle, jump, *rest = (cell.strip() for cell in row.strip("| ").split("|"))
        ours = [
            line for line in measured.splitlines() if line.startswith(f"| {name.removesuffix(' alone')} |")
        ]
        assert any(re.search(rf"\| {erle} \|.* \| {jump} \|", line) for line in ours), (name, erle, jump)
        assert any(all(f"| {cell} |" in line for cell in rest) for line in ours), (name, rest)
