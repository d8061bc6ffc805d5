"""Broken bytes in every reader: success or one line, whatever they are."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))
import targets

from hexlib.game.records import SEARCH_DTYPES

# `make fuzz` asks for more.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))
SOME = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
SEEDS = {name: seeds() for name, (_, seeds) in targets.TARGETS.items()}
CORPUS = Path(__file__).parent / "fuzz/corpus"


@st.composite
def damaged(draw, name):
    """A whole file with some of its bytes changed, taken out, repeated or cut off; or any bytes."""
    data = bytearray(draw(st.sampled_from(SEEDS[name])))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 4)):
            case 0 if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case 1:
                data[at : at + draw(st.integers(1, 9))] = draw(st.binary(max_size=9))
            case 2:
                del data[at:]
            case 3:
                data[at:at] = data[: draw(st.integers(1, 50))]
            case 4:
                return draw(st.binary(max_size=200))
    return bytes(data)


@pytest.mark.parametrize("name", targets.TARGETS)
def test_whole_files_are_read(name):
    targets.TARGETS[name][0](SEEDS[name][0])


@pytest.mark.parametrize("name", targets.TARGETS)
def test_damaged_files_end_in_one_line(name):
    @SOME
    @given(damaged(name))
    def check(data):
        targets.feed(name, data)

    check()


@pytest.mark.parametrize("name", targets.TARGETS)
def test_what_fuzzing_has_grown_ends_in_one_line(name):
    inputs = targets.grown(name)
    assert len(inputs) > 10
    for data in inputs:
        targets.feed(name, data)


@pytest.mark.parametrize(
    "path", sorted(CORPUS.glob("*/*")), ids=lambda p: f"{p.parent.name}/{p.name}"
)
def test_what_fuzzing_has_found_stays_found(path):
    targets.feed(path.parent.name, path.read_bytes())


ARRAYS = hnp.arrays(
    st.sampled_from(["u1", "u2", "i2", "f2", "i8", "u4", "i1"]),
    hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=80),
    elements={"min_value": 0, "max_value": 3},
)
POSITIONS = (
    *("own", "opponent", "policy_count", "value", "root_value", "weight", "game", "ply"),
    *("policy_cell", "policy_probability", "bucket_offsets", "entry_offsets", "bucket_checksum"),
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    PLAIN, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3)
)
KEYS = ("rows", "games", "board_size", "positions", "buckets", "seed", "inputs", "bucket")


@pytest.mark.parametrize("name", ["search", "positions", "parts"])
def test_whole_npz_with_anything_in_it(name):
    names = tuple(SEARCH_DTYPES) if name == "search" else POSITIONS
    arrays = st.dictionaries(st.sampled_from(names), ARRAYS, max_size=len(names))
    metas = st.dictionaries(st.sampled_from(KEYS), VALUES | st.just(5))

    @SOME
    @given(arrays, metas)
    def check(found, meta):
        try:
            json.dumps(meta, allow_nan=False)
        except ValueError:
            return
        targets.feed(name, targets.arrays_as_npz(found, {"kind": name, **meta}))

    check()


@SOME
@given(st.dictionaries(st.sampled_from(["kind", "schema", "buckets", "name"]), VALUES) | VALUES)
def test_any_json(value):
    targets.feed("document", json.dumps(value).encode())


def test_statistics_with_any_numbers_are_no_crash():
    rng = np.random.default_rng(0)
    moves = len(targets.GAMES.moves)
    for _ in range(200):
        count = rng.integers(0, 4, moves).astype(np.uint8)
        arrays = {
            "root_value": rng.integers(0, 1 << 16, moves, np.uint16).view(np.float16),
            "policy_count": count,
            "policy_cell": rng.integers(0, 1 << 16, count.sum(), np.uint16),
            "policy_probability": rng.integers(0, 1 << 16, count.sum(), np.uint16).view(np.float16),
        }
        targets.feed("search", targets.arrays_as_npz(arrays, {"kind": "search"}))
