"""Products: whole or absent, the same bytes, and damage told."""

import contextlib

import numpy as np
import pytest

from hexlib import files
from hexlib.errors import BadInput

ARRAYS = {"a": np.arange(5, dtype=np.int16), "b": np.ones((2, 3), np.float32)}
META = {"kind": "test", "board_size": 5}


def test_round_trip_is_the_same_bytes(tmp_path):
    for name in ("one.npz", "two.npz"):
        files.write_npz(tmp_path / name, ARRAYS, META)
    assert files.sha256(tmp_path / "one.npz") == files.sha256(tmp_path / "two.npz")
    arrays, meta = files.read_npz(tmp_path / "one.npz", "test")
    assert meta == {**META, "schema": files.SCHEMA}
    for name, array in ARRAYS.items():
        assert np.array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype


def test_a_product_is_whole_or_absent(tmp_path):
    path = tmp_path / "deep/er/product"
    files.write_text(path, "whole")

    def fail_halfway():
        with files.atomic(path) as handle:
            handle.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_text() == "whole"
    assert [p.name for p in path.parent.iterdir()] == ["product"], "nothing half-written is left"


def test_every_damage_is_named(tmp_path):
    path = tmp_path / "p.npz"
    files.write_npz(path, ARRAYS, META)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(60):
        broken = bytearray(whole)
        broken[random.integers(len(whole))] ^= 1 << random.integers(8)
        path.write_bytes(broken)
        # Bits that carry nothing (dates, flags of the archive) may flip without harm.
        with contextlib.suppress(BadInput):
            arrays, _ = files.read_npz(path, "test")
            assert all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)
    for cut in (0, 1, 100, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(BadInput, match=r"p\.npz"):
            files.read_npz(path, "test")


def test_another_kind_and_another_schema_are_told(tmp_path, monkeypatch):
    path = tmp_path / "p.npz"
    files.write_npz(path, ARRAYS, META)
    with pytest.raises(BadInput, match="holds 'test', where 'positions' is wanted"):
        files.read_npz(path, "positions")
    monkeypatch.setattr(files, "SCHEMA", 2)
    with pytest.raises(BadInput, match="schema version 1, this version reads 2"):
        files.read_npz(path, "test")


def test_objects_are_never_unpickled(tmp_path):
    path = tmp_path / "p.npz"
    np.savez(path, a=np.array([{"x": 1}], dtype=object), meta=np.zeros(1, np.uint8))
    with pytest.raises(BadInput, match="Object arrays cannot be loaded"):
        files.read_npz(path, "test")
