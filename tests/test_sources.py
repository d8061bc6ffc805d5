"""Finding and counting games that somebody else made."""

import gzip

import pytest

from hexlib.errors import BadInput
from hexlib.sources import count_records, game_files


def test_files_are_found_at_any_depth_and_counted_once(tmp_path):
    deep = tmp_path / "a/b/c"
    deep.mkdir(parents=True)
    (deep / "one.trmph").write_text("# a comment\n#3,a1 b\n\n#3,b1 r\n")
    (tmp_path / "a/two.txt").write_bytes(b"#3,a1 b\r\n \r\n#3,a1 b")
    (tmp_path / "a/notes.md").write_text("no game\n")
    with gzip.open(deep / "three.trmph.gz", "wt") as handle:
        handle.write("#3,a1 b\n" * 5)
    found = game_files([tmp_path / "a", deep / "one.trmph", str(deep)])
    assert found == [deep / "one.trmph", deep / "three.trmph.gz", tmp_path / "a/two.txt"]
    assert [count_records([path]) for path in found] == [2, 5, 2]
    assert count_records(found) == 9


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(BadInput, match="nowhere: no such file or folder"):
        game_files([tmp_path / "nowhere"])
    with pytest.raises(BadInput, match="no game file"):
        game_files([tmp_path])


def test_a_broken_archive_is_named(tmp_path):
    path = tmp_path / "games.trmph.gz"
    path.write_bytes(gzip.compress(b"#3,a1 b\n" * 100)[:-9])
    with pytest.raises(BadInput, match=r"games\.trmph\.gz: cannot be read"):
        count_records([path])
