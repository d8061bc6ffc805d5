"""Damage of any kind: found before use, named with a remedy, done without where that is wanted."""

import gzip
import json
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from broken import GOOD, RECORDS
from synthetic import made_up_search, random_games

from hexlib import cli, npz
from hexlib.errors import BadInput, Damaged
from hexlib.game import positions, records
from hexlib.game.notation import trmph_line
from hexlib.lines import zstd
from hexlib.nn.buckets import bucket_files, open_bucket
from hexlib.nn.checkpoint import Checkpoint, load, load_checkpoint, save, save_checkpoint
from hexlib.nn.model import random_network
from hexlib.settings import Clean, Net, Process
from hexlib.stages import clean, process, shuffle

OTHER = "#3,b1a1b2a2b3 b"  # a second good game


@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
@pytest.mark.parametrize("record", RECORDS)
def test_a_broken_record_is_accounted_for(tmp_path, record, packed):
    text = f"{GOOD}\n{record}\n{OTHER}\n{GOOD}".encode()
    pack = {"": bytes, ".gz": gzip.compress, ".zst": zstd.compress}[packed]
    (tmp_path / f"x.txt{packed}").write_bytes(pack(text))
    summary = clean.run([tmp_path], tmp_path / "clean", 3, Clean(), 1)
    reason = RECORDS[record]
    rejected = int(reason is not None)
    counts = {"records": 3 + rejected, "kept": 2, "duplicates": 1, "rejected": rejected}
    assert {key: summary[key] for key in counts} == counts
    assert summary["files"] == [{"name": f"x.txt{packed}", **counts}]
    assert summary["reasons"] == ({reason: 1} if reason else {})
    _, *rows = (tmp_path / "clean/rejected.tsv").read_text().splitlines()
    assert len(rows) == rejected
    for row in rows:
        name, line, found, shown = row.split("\t")
        assert (name, line) == (f"x.txt{packed}", "2")
        assert found.startswith(reason)
        assert shown.isprintable()
    _, *kept = (tmp_path / "clean/chunk_0000.trmph").read_text().splitlines()
    assert kept == [GOOD, OTHER]


# Files that are broken: what is done to the bytes of a whole one.
CUTS = {
    "no byte": lambda data: b"",
    "half of it": lambda data: data[: len(data) // 2],
    "all but a byte": lambda data: data[:-1],
    "a bit flipped in the middle": lambda data: flipped(data, len(data) // 2),
    "a bit flipped near the end": lambda data: flipped(data, len(data) - 8),
    "zeros": lambda data: bytes(len(data)),
    "text": lambda data: b"this is\nsomething else\n" * 20,
}


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


def tar():
    with tarfile.open("x.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("x"))
    return Path("x.tar").read_bytes()


GAMES = random_games(5, 40)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Whole products in the current folder, and for each of them what reads it."""
    monkeypatch.chdir(tmp_path)
    lines = [trmph_line(5, *game) for game in GAMES]
    (tmp_path / "plain.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    (tmp_path / "plain.zst").write_bytes(
        zstd.compress(
            "\n".join(lines).encode(), options={zstd.CompressionParameter.checksum_flag: 1}
        )
    )
    records.write_games("shard.trmph", [GAMES], {"kind": "games"})
    records.write_search("shard.search.npz", made_up_search(GAMES), {"board_size": 5})
    process.run("shard.trmph", "chunk.npz", Process(), 5)
    shuffle.scatter("chunk.npz", "scattered", 2, 0)
    for bucket in range(2):
        shuffle.gather(["scattered"], bucket, f"buckets/bucket_000{bucket}.npz", 0)
    buckets = [tmp_path / f"buckets/bucket_000{bucket}.npz" for bucket in range(2)]
    shuffle.summary(buckets, tmp_path / "buckets/summary.json")
    network = random_network(Net(blocks=1, channels=8), 0)
    save_checkpoint("net.pt", Checkpoint(network, [5], {}))
    save("state.pt", "training state", {"weights": {"a": torch.arange(500)}})
    (tmp_path / "gen_000/clean").mkdir(parents=True)
    clean.run(["shard.trmph"], "cleaned", 5, Clean(), 1)
    return tmp_path


READERS = {
    "plain.gz": lambda: clean.run(["plain.gz"], "out", 5, Clean(), 1),
    "plain.zst": lambda: clean.run(["plain.zst"], "out", 5, Clean(), 1),
    "shard.trmph": lambda: clean.run(["shard.trmph"], "out", 5, Clean(), 1),
    "shard.search.npz": lambda: clean.run(["shard.trmph"], "out", 5, Clean(), 1),
    "cleaned/chunk_0000.trmph": lambda: process.run(
        "cleaned/chunk_0000.trmph", "out.npz", Process(), 5
    ),
    "cleaned/chunk_0000.search.npz": lambda: process.run(
        "cleaned/chunk_0000.trmph", "out.npz", Process(), 5
    ),
    "chunk.npz": lambda: shuffle.scatter("chunk.npz", "out", 2, 0),
    "scattered/parts.npz": lambda: [
        shuffle.gather(["scattered"], bucket, "out.npz", 0) for bucket in range(2)
    ],
    "buckets/bucket_0001.npz": lambda: open_bucket(Path("buckets/bucket_0001.npz"), 0.1),
    "buckets/summary.json": lambda: bucket_files(Path("buckets")),
    "net.pt": lambda: load_checkpoint("net.pt"),
    "state.pt": lambda: load("state.pt", "training state"),
}
# Bytes that no one reads: in JSON, and between the members of a zip, which are all verified.
HARMLESS = {
    ("buckets/summary.json", "a bit flipped in the middle"),
    ("buckets/summary.json", "all but a byte"),
    ("net.pt", "a bit flipped in the middle"),
    ("net.pt", "a bit flipped near the end"),
    ("state.pt", "a bit flipped near the end"),
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", READERS)
def test_a_broken_file_is_told_in_one_line_before_it_is_used(made, name, cut):
    READERS[name]()
    path = made / name
    path.write_bytes(CUTS[cut](path.read_bytes()))
    if (name, cut) in HARMLESS:
        READERS[name]()
        return
    before = {p for p in made.rglob("*") if p.is_file()}
    with pytest.raises(BadInput) as error:
        READERS[name]()
    said = str(error.value)
    assert said.startswith(name)
    assert "; " in said
    assert len(said.splitlines()) == 1
    assert {p for p in made.rglob("*") if p.is_file()} == before, "nothing was made of it"


def foreign_npz(**arrays):
    npz.write("foreign.npz", arrays, {"kind": "search"})
    return Path("foreign.npz").read_bytes()


# Other files under the name of one of ours, and what is said of them.
FOREIGN = {
    ("plain.zst", "an npz"): (lambda: Path("chunk.npz").read_bytes(), "lines is a record"),
    ("plain.zst", "a tar"): (tar, "lines is a record"),
    ("plain.zst", "UTF-16"): (
        lambda: f"{GOOD}\n{OTHER}\n".encode("utf-16"),
        "none of its 3 lines is a record; take it away",
    ),
    ("shard.trmph", "a header alone whose games are gone"): (
        lambda: Path("shard.trmph").read_bytes().split(b"\n")[0] + b"\n",
        "not as it was written",
    ),
    ("shard.trmph", "a header that lost its checksum"): (
        lambda: Path("shard.trmph").read_bytes().replace(b"crc32", b"crc"),
        "has lost its checksum",
    ),
    ("shard.trmph", "CRLF put in by an editor"): (
        lambda: Path("shard.trmph").read_bytes().replace(b"\n", b"\r\n"),
        "if you changed it on purpose, delete that line",
    ),
    ("shard.trmph", "gzip with bytes behind it"): (
        lambda: gzip.compress(b"#5,a1 b\n") + b"junk",
        "cannot be read to its end",
    ),
    ("shard.trmph", "gzip with a wrong checksum"): (
        lambda: gzip.compress(b"#5,a1 b\n")[:-8] + struct.pack("<II", 1, 8),
        "CRC check failed",
    ),
    ("shard.trmph", "zstd that wants 2 GiB"): (
        lambda: b"\x28\xb5\x2f\xfd\x00\xa8" + b"\x01\x00\x00",
        "cannot be read to its end",
    ),
    ("shard.search.npz", "positions"): (
        lambda: Path("chunk.npz").read_bytes(),
        "holds 'positions', where 'search' is wanted; name another file",
    ),
    ("shard.search.npz", "no arrays"): (foreign_npz, "its arrays do not fit each other; remove"),
    ("shard.search.npz", "objects"): (
        lambda: (
            np.savez("o.npz", a=np.array([{}], object)),
            Path("o.npz").read_bytes(),
        )[1],
        "does not start as our arrays do",
    ),
    ("shard.search.npz", "compressed"): (
        lambda: (
            np.savez_compressed("o.npz", a=np.zeros(3)),
            Path("o.npz").read_bytes(),
        )[1],
        "does not start as our arrays do",
    ),
    ("chunk.npz", "search statistics"): (
        lambda: Path("shard.search.npz").read_bytes(),
        "holds 'search', where 'positions' is wanted; name another file",
    ),
    ("scattered/parts.npz", "positions"): (
        lambda: Path("chunk.npz").read_bytes(),
        "holds 'positions', where 'parts' is wanted; name another file",
    ),
    ("buckets/summary.json", "a list"): (lambda: b"[]", "not the summary of a shuffle; remove"),
    ("buckets/summary.json", "no buckets"): (lambda: b"{}", "not the summary of a shuffle; remove"),
    ("buckets/summary.json", "deep"): (lambda: b"[" * 10**5, "not readable as JSON"),
    ("net.pt", "another kind"): (
        lambda: Path("state.pt").read_bytes(),
        "not a checkpoint of hexlib; name another",
    ),
    ("net.pt", "a JSON"): (lambda: b"{}", "not a checkpoint of hexlib (File is not a zip file)"),
    ("state.pt", "a checkpoint"): (
        lambda: Path("net.pt").read_bytes(),
        "not a training state of hexlib; name another",
    ),
}


@pytest.mark.parametrize(("name", "what"), FOREIGN)
def test_a_foreign_file_is_told(made, name, what):
    make, said = FOREIGN[name, what]
    (made / name).write_bytes(make())
    with pytest.raises(BadInput) as error:
        READERS[name]()
    assert str(error.value).startswith(name)
    assert said in str(error.value)


def test_a_network_that_is_not_the_one_described(made):
    content = load("net.pt", "checkpoint")
    for key, value in {
        "net": {"blocks": 40, "channels": 512},
        "weights": {},
        "board_sizes": [],
        "lineage": None,
    }.items():
        changed = {k: v for k, v in content.items() if k not in ("kind", "schema")} | {key: value}
        save("net.pt", "checkpoint", changed)
        with pytest.raises(Damaged, match=r"net\.pt: its weights do not fit .*; name another"):
            load_checkpoint("net.pt")


def test_joined_files_are_whole(made):
    text = (made / "shard.trmph").read_bytes()
    (made / "joined.trmph").write_bytes(text + text + b"#5,a1 b\n")
    with pytest.raises(Damaged, match="not as it was written"):
        records.verify("joined.trmph")
    (made / "joined.trmph").write_bytes(b"#5,a1 b\n" + text + text)
    records.verify("joined.trmph")


@pytest.mark.parametrize("cut", ["no byte", "half of it", "all but a byte"])
def test_clean_goes_on_without_a_damaged_file(made, cut):
    data = made / "data"
    data.mkdir()
    records.write_games(data / "a.trmph", [random_games(5, 20, seed=7)], {"kind": "games"})
    for name in ("plain.gz", "shard.trmph"):
        (data / name.replace("plain.gz", "b.trmph.gz")).write_bytes(
            CUTS[cut]((made / name).read_bytes())
        )
    before = {path: path.read_bytes() for path in data.iterdir()}
    with pytest.raises(Damaged, match=r"b\.trmph\.gz"):
        clean.run([data], "out", 5, Clean(), 1)
    assert not list((made / "out").iterdir())
    summary = clean.run([data], "out", 5, Clean(), 1, on_corrupt="skip")
    assert [aside["name"] for aside in summary["set_aside"]] == ["b.trmph.gz", "shard.trmph"]
    assert [counts["name"] for counts in summary["files"]] == ["a.trmph"]
    assert summary["kept"] == summary["records"] == 20
    assert {path: path.read_bytes() for path in data.iterdir()} == before
    assert json.loads((made / "out/summary.json").read_text()) == summary


def test_clean_goes_on_without_a_foreign_file(made):
    (made / "data").mkdir()
    (made / "data/a.txt").write_text("\n".join(trmph_line(5, *game) for game in GAMES))
    (made / "data/README.txt").write_text("These are games.\nThey were played.\n")
    with pytest.raises(Damaged, match=r"README\.txt: none of its 2 lines is a record; take it"):
        clean.run(["data"], "out", 5, Clean(), 1)
    summary = clean.run(["data"], "out", 5, Clean(), 1, on_corrupt="skip")
    assert summary["set_aside"] == [
        {"name": "README.txt", "reason": "none of its 2 lines is a record"}
    ]
    assert (summary["records"], summary["kept"], summary["rejected"]) == (42, 40, 2)


def test_clean_ends_if_all_is_damaged(made):
    (made / "shard.trmph").write_bytes(b"")
    with pytest.raises(BadInput, match=r"all damaged; the first, shard\.trmph: is empty"):
        clean.run(["shard.trmph"], "out", 5, Clean(), 1, on_corrupt="skip")


@pytest.mark.parametrize("how", ["cut off", "of other games"])
@pytest.mark.parametrize("stage", ["clean", "process"])
def test_games_are_used_without_damaged_statistics(made, stage, how):
    whole = (made / "shard.search.npz").read_bytes()
    if how == "cut off":
        (made / "shard.search.npz").write_bytes(whole[:-100])
    else:
        records.write_search("shard.search.npz", made_up_search(random_games(5, 40, seed=3)), {})
    if stage == "clean":
        summary = clean.run(["shard.trmph"], "out", 5, Clean(), 1, on_corrupt="skip")
        assert [aside["name"] for aside in summary["set_aside"]] == ["shard.search.npz"]
        assert summary["kept"] == 40
        return
    process.run("shard.trmph", "out.npz", Process(), 5, on_corrupt="skip")
    found = positions.open_positions("out.npz")
    assert np.isnan(found.root_value.astype(float)).all()
    assert len(found) == len(GAMES.moves) + len(GAMES)
    meta = npz.Reader("out.npz").meta
    assert [aside["name"] for aside in meta["set_aside"]] == ["shard.search.npz"]


def test_process_makes_nothing_of_a_damaged_chunk(made):
    path = made / "cleaned/chunk_0000.trmph"
    path.write_bytes(flipped(path.read_bytes(), 1000))
    arguments = ["process", str(path), "--output", "out.npz", "--board-size", "5"]
    assert cli.main(arguments) == 2
    assert cli.main([*arguments, "--on-corrupt", "skip"]) == 0
    meta = npz.Reader("out.npz").meta
    assert [aside["name"] for aside in meta["set_aside"]] == ["chunk_0000.trmph"]
    assert meta["rows"] == meta["games"] == 0
    shuffle.scatter("out.npz", "empty", 2, 0)
    assert shuffle.gather(["scattered", "empty"], 0, "both.npz", 0)["rows"] > 0


def test_training_goes_on_without_a_damaged_bucket(made):
    path = made / "buckets/bucket_0000.npz"
    path.write_bytes(path.read_bytes()[:-10])
    arguments = ["train", "--source", "buckets", "--checkpoint", "net.pt", "--output-dir", "out"]
    arguments += ["--batch-size", "32", "--device", "cpu"]
    assert cli.main(arguments) == 2
    assert cli.main([*arguments, "--on-corrupt", "skip"]) == 0
    lineage = json.loads((made / "out/lineage.json").read_text())
    assert [aside["name"] for aside in lineage["set_aside"]] == ["bucket_0000.npz"]
    other = positions.open_positions(made / "buckets/bucket_0001.npz")
    assert 0 < lineage["rows_made"] <= len(other)
