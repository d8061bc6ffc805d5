"""Files: whole or absent, always the same bytes, and damage told."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexlib import files, npz
from hexlib.errors import BadInput

ARRAYS = {
    "a": np.arange(35, dtype=np.uint8).reshape(7, 5),
    "b": np.linspace(-1, 1, 11).astype(np.float16),
    "none": np.zeros((0, 3), np.int64),
}


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


def write_in_blocks(path: Path, block: int):
    layout = {name: (a.dtype, a.shape) for name, a in ARRAYS.items()}
    with files.atomic(path) as handle:
        writer = npz.Writer(handle, layout, {"kind": "thing", "x": 1})
        for start in range(0, 11, block):
            for name, array in ARRAYS.items():
                writer.append(name, array[start : start + block])
        writer.close()


def test_blocks_give_the_same_file_as_one(tmp_path):
    npz.write(tmp_path / "whole.npz", ARRAYS, {"kind": "thing", "x": 1})
    for block in (1, 4, 20):
        write_in_blocks(tmp_path / f"{block}.npz", block)
        assert files.sha256(tmp_path / f"{block}.npz") == files.sha256(tmp_path / "1.npz")
    for name in ("whole", "4"):
        mapped, meta = npz.open_npz(tmp_path / f"{name}.npz", "thing")
        assert meta == {"kind": "thing", "schema": files.SCHEMA, "x": 1}
        for key, array in ARRAYS.items():
            np.testing.assert_array_equal(mapped[key], array)
            assert not mapped[key].flags.writeable


def test_wrong_number_of_rows_is_an_error(tmp_path):
    with (tmp_path / "x.npz").open("wb") as handle:
        writer = npz.Writer(handle, {"a": (np.int8, (3,))}, {"kind": "thing"})
        writer.append("a", np.zeros(2, np.int8))
        with pytest.raises(ValueError, match="fewer rows"):
            writer.close()
        with pytest.raises(ValueError, match="more rows"):
            writer.append("a", np.zeros(2, np.int8))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_is_found_or_harmless(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("npz") / "x.npz"
    write_in_blocks(path, 20)
    whole = path.read_bytes()
    if data.draw(st.booleans()):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        at = data.draw(st.integers(0, len(whole) - 1))
        damaged = bytearray(whole)
        damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(damaged)
    try:
        arrays, _ = npz.open_npz(path, "thing")
    except BadInput:
        return
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)


def test_a_span_is_read_and_checked_by_running_checksums(tmp_path):
    numbers = np.arange(40, dtype=np.uint32).reshape(20, 2)
    path = tmp_path / "x.npz"
    with files.atomic(path) as handle:
        writer = npz.Writer(handle, {"a": (np.uint32, (20, 2))}, {"kind": "thing"})
        running = [
            *writer.append("a", numbers[:12], (0, 5, 5)),
            *writer.append("a", numbers[12:], (3,)),
        ]
        writer.close()
    cuts = [0, 5, 5, 15]
    reader = npz.Reader(path, "thing")
    for i, j in ((0, 1), (1, 2), (2, 3), (0, 3)):
        rows = reader.rows("a", (cuts[i], cuts[j]), (running[i], running[j]))
        assert len(rows) == cuts[j] - cuts[i]
        taken = [rows.take(1) for _ in range(len(rows))]
        rows.check()
        np.testing.assert_array_equal(
            np.concatenate([numbers[:0], *taken]), numbers[cuts[i] : cuts[j]]
        )
        with pytest.raises(BadInput, match="a is damaged"):
            rows.take(1)
    unread = reader.rows("a")
    unread.take(19)
    with pytest.raises(BadInput, match="a is damaged"):
        unread.check()
    with pytest.raises(BadInput, match="a is damaged"):
        reader.rows("a", (5, 15), (running[0], running[3])).check()


def test_a_digest_stands_for_the_content(tmp_path):
    def digest(arrays, meta):
        npz.write(tmp_path / "x.npz", arrays, meta)
        return npz.Reader(tmp_path / "x.npz").digest

    meta = {"kind": "thing", "x": 1}
    first = digest(ARRAYS, meta)
    assert digest(ARRAYS, meta) == first
    others = [digest(ARRAYS, {**meta, "x": 2})]
    for name, array in ARRAYS.items():
        changed = array.copy() if array.size else np.zeros((1, *array.shape[1:]), array.dtype)
        changed.reshape(-1).view(np.uint8)[-1] ^= 1
        others.append(digest({**ARRAYS, name: changed}, meta))
    assert first not in others
    assert len(set(others)) == len(others)


def test_kind_and_schema_are_checked(tmp_path):
    npz.write(tmp_path / "x.npz", ARRAYS, {"kind": "thing"})
    with pytest.raises(BadInput, match="holds 'thing', where 'search' is wanted"):
        npz.open_npz(tmp_path / "x.npz", "search")
    npz.write(tmp_path / "x.npz", ARRAYS, {"kind": "thing", "schema": 99})
    with pytest.raises(BadInput, match="schema version 99"):
        npz.open_npz(tmp_path / "x.npz", "thing")
    with pytest.raises(BadInput, match="no such file"):
        npz.open_npz(tmp_path / "none.npz", "thing")


def test_objects_are_never_unpickled(tmp_path):
    path = tmp_path / "p.npz"
    np.savez(path, a=np.array([{"x": 1}], dtype=object), meta=np.zeros(1, np.uint8))
    with pytest.raises(BadInput, match=r"p\.npz"):
        npz.open_npz(path, "test")
