"""Games as people pass them on: a trmph record, finished or not, or its address."""

import re
from pathlib import Path

from hexlib.errors import BadInput
from hexlib.game.board import MAX_SIZE, MIN_SIZE
from hexlib.game.notation import cell_index

RECORD = re.compile(r"#(\d{1,2}),((?:[a-z]\d{1,2})*)(?![a-z0-9])", re.IGNORECASE)


def read_game(text: str) -> tuple[int, list[int]]:
    """The board size and the moves (cells) of the first record in `text`.

    Unlike a stage, which wants whole games, this takes a record without winner and keeps a swap as
    a second move equal to the first. Raises ValueError in one line where there is none.
    """
    found = RECORD.search(text)
    if not found:
        raise ValueError("no game in it; wanted is something like #7,d4c5e3")
    size = int(found[1])
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"board size {size}; possible are {MIN_SIZE} to {MAX_SIZE}")
    names = re.findall(r"[a-z]\d{1,2}", found[2].lower())
    return size, [cell_index(name, size) for name in names]


def read_game_file(path: Path, number: int) -> tuple[int, list[int]]:
    """Game `number`, from 1, of a file of records; BadInput that names the file and the line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read ({error}); name a .trmph") from None
    count = 0
    for line, record in enumerate(text.splitlines(), 1):
        if not record.strip() or record.lstrip().startswith("# "):
            continue
        count += 1
        if count == number:
            try:
                return read_game(record)
            except ValueError as error:
                raise BadInput(f"{path}:{line}: {error}") from None
    raise BadInput(f"{path}: has {count} games, and no game {number}; --game chooses one")
