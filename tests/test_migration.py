"""What the pipeline before could do and no other test shows; and that each named test is there."""

import json
import re
from pathlib import Path

import pytest

from hexlib.cli import main
from hexlib.files import sha256

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs/migration.md"


def test_every_row_names_tests_and_they_are_there():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith(("| ---", "| before"))]
    assert len(rows) > 40
    for row in rows:
        named = re.findall(r"`(test_\w+)::(test_\w+)`", row.split("|")[-2])
        assert named, row
        for file, test in named:
            text = (REPOSITORY / f"tests/{file}.py").read_text()
            assert re.search(rf"^def {test}\(", text, re.MULTILINE), f"{file}::{test}"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An initial checkpoint and a folder of buckets, made by the commands."""
    folder = tmp_path_factory.mktemp("made")
    net = ["--board-size", "5", "--blocks", "1", "--channels", "8"]
    assert main(["init", *net, "--output", f"{folder}/initial.pt"]) == 0
    games = ["--games", "40", "--simulations", "2", "--output", f"{folder}/shard.trmph"]
    chunk = ["--board-size", "5", "--chunks", "1", "--output-dir", f"{folder}/clean"]
    scatter = ["--buckets", "1", "--output-dir", f"{folder}/parts"]
    gather = ["--bucket", "0", "--output", f"{folder}/buckets/bucket_0000.npz"]
    for command in (
        ["selfplay", "--checkpoint", f"{folder}/initial.pt", *games],
        ["clean", f"{folder}/shard.trmph", *chunk],
        ["process", f"{folder}/clean/chunk_0000.trmph", "--output", f"{folder}/chunk.npz"],
        ["shuffle", "scatter", f"{folder}/chunk.npz", *scatter],
        ["shuffle", "gather", f"{folder}/parts", *gather],
    ):
        assert main(command) == 0
    return folder


def trained(made, folder, *options):
    """The lineage of a training."""
    start = ["--checkpoint", f"{made}/initial.pt", "--output-dir", str(folder)]
    assert main(["train", *start, "--batch-size", "16", *options]) == 0
    return json.loads((folder / "lineage.json").read_text())


def test_samples_are_capped(made, tmp_path):
    source = ["--source", f"{made}/buckets"]
    free = trained(made, tmp_path / "free", *source)
    capped = trained(made, tmp_path / "capped", *source, "--max-samples", "160")
    assert free["samples"] > 320
    assert capped["samples"] == 160


def test_a_checkpoint_by_its_path_is_where_training_starts(made, tmp_path):
    renamed = tmp_path / "epoch3_mini10.pt"
    renamed.write_bytes((made / "initial.pt").read_bytes())
    start = ["--checkpoint", str(renamed), "--output-dir", f"{tmp_path}/train"]
    assert main(["train", *start, "--source", f"{made}/buckets", "--max-samples", "64"]) == 0
    lineage = json.loads((tmp_path / "train/lineage.json").read_text())
    assert lineage["parent"] == sha256(made / "initial.pt")
