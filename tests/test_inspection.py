"""`hexlib inspect` on every kind of product of a real run, and on what is none."""

import pytest
from synthetic import made_up_search, random_games

from hexlib import files
from hexlib.errors import BadInput
from hexlib.game.records import write_games, write_search
from hexlib.inspection import inspect
from hexlib.nn.checkpoint import Checkpoint, save_checkpoint
from hexlib.nn.model import random_network
from hexlib.printing import in_words
from hexlib.settings import Net

NET = Net(blocks=1, channels=8)


@pytest.fixture
def products(tmp_path):
    games = random_games(5, 30)
    write_games(tmp_path / "g.trmph", [games], {"kind": "games", "board_size": 5})
    write_search(tmp_path / "g.search.npz", made_up_search(games), {"games": 30})
    save_checkpoint(tmp_path / "c.pt", Checkpoint(random_network(NET, 0), [5], {"seed": 0}))
    files.write_json(tmp_path / "s.json", {"kind": "clean", "schema": 1, "records": 30})
    return tmp_path


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("g.trmph", {"kind": "games", "board_size": 5, "records": 30, "unreadable": 0}),
        ("g.search.npz", {"kind": "search", "games": 30}),
        ("c.pt", {"kind": "checkpoint", "board_sizes": [5], "net": NET.model_dump()}),
        ("s.json", {"kind": "clean", "records": 30}),
    ],
)
def test_products_are_described(products, name, expected):
    found = inspect(products / name)
    assert expected.items() <= found.items()
    assert found["sha256"] == files.sha256(products / name)
    assert all(isinstance(line, str) and "\n" not in line for line in in_words(found))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"", "known are"),
        ("x.json", b"[1]", "says no kind"),
        ("x.json", b"{", "not readable as JSON"),
        ("x.npz", b"PK", r"x\.npz"),
        ("x.pt", b"PK", "not a checkpoint"),
        ("x.trmph", b"hello\n", "no record in it"),
    ],
)
def test_what_is_no_product_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadInput, match=message):
        inspect(path)
