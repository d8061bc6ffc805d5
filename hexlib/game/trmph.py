"""Reading and writing `.trmph` text at the speed of the disk: numba over its bytes.

A line is empty, a comment (`# …`) or a record. A record is

    [URL]#SIZE,MOVES WINNER[ # ANNOTATION]

with white space allowed around it, a winner `b` or `1` for blue and `r` or `2` for red. A second
move equal to the first is a swap, as trmph.com writes it: the stone stands on that cell and is
red from then on. Such a record is resolved by looking at the board through its reflection, with
the colours exchanged, so that blue has made the first move and red goes on.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numba import njit

from hexlib import lines
from hexlib.game.board import BLUE, RED
from hexlib.game.notation import cell_name

# What is wrong with a line, in the order in which it is found.
WHOLE, NO_RECORD, OTHER_SIZE, UNREADABLE, OFF_BOARD, NO_MOVES, NO_WINNER, BAD_WINNER, TRAILING = (
    range(9)
)
REASONS = {
    NO_RECORD: "not a record",
    OTHER_SIZE: "another board size",
    UNREADABLE: "unreadable move",
    OFF_BOARD: "move off the board",
    NO_MOVES: "no moves",
    NO_WINNER: "no winner",
    BAD_WINNER: "unknown winner",
    TRAILING: "text after the winner",
}

_NEWLINE, _HASH, _COMMA, _SLASH, _SPACE, _TAB, _RETURN = (ord(c) for c in "\n#,/ \t\r")
_LOWER, _A, _ZERO = 0x20, ord("a"), ord("0")
_B, _R, _ONE, _TWO = (ord(c) for c in "br12")


@njit(cache=True)
def _is_blank(byte):
    return byte in (_SPACE, _TAB, _RETURN)


@njit(cache=True)
def _skip_blanks(text, p):
    while _is_blank(text[p]):
        p += 1
    return p


@njit(cache=True)
def _read_size(text, p):
    """Board size of the record at p, and where its moves start; size −1 if it is no record."""
    if text[p] != _HASH:
        slash = False
        while text[p] > _SPACE and text[p] != _HASH:
            slash |= text[p] == _SLASH
            p += 1
        if text[p] != _HASH or not slash:
            return -1, p
    p += 1
    size = 0
    first = p
    while 0 <= np.int64(text[p]) - _ZERO <= 9 and p - first < 3:
        size = size * 10 + text[p] - _ZERO
        p += 1
    if p == first or text[p] != _COMMA:
        return -1, p
    return size, p + 1


@njit(cache=True)
def _read_moves(text, p, n, moves, m):
    """Read moves from p into moves[m:]; returns where they end in both, and what is wrong."""
    while True:
        column = np.int64(text[p] | _LOWER) - _A
        if column < 0 or column >= 26:
            fine = text[p] == _NEWLINE or _is_blank(text[p])
            return p, m, WHOLE if fine else UNREADABLE
        row = np.int64(text[p + 1]) - _ZERO
        if row < 1 or row > 9:
            return p, m, OFF_BOARD if row == 0 else UNREADABLE
        p += 2
        digit = np.int64(text[p]) - _ZERO
        if 0 <= digit <= 9:
            row = row * 10 + digit
            p += 1
        if column >= n or row > n:
            return p, m, OFF_BOARD
        moves[m] = (row - 1) * n + column
        m += 1


@njit(cache=True)
def _read_winner(text, p):
    """Read the end of a record from p: the winner and what is wrong."""
    p = _skip_blanks(text, p)
    byte = text[p]
    if byte in (_NEWLINE, _HASH):
        return 0, NO_WINNER
    if byte in (_B, _ONE):
        winner = BLUE
    elif byte in (_R, _TWO):
        winner = RED
    else:
        return 0, BAD_WINNER
    p += 1
    if text[p] != _NEWLINE and not _is_blank(text[p]):
        return 0, BAD_WINNER
    p = _skip_blanks(text, p)
    if text[p] == _NEWLINE:
        return winner, WHOLE
    if text[p] == _HASH and (text[p + 1] == _NEWLINE or _is_blank(text[p + 1])):
        return winner, WHOLE
    return 0, TRAILING


@njit(cache=True)
def parse(text, n, line, moves, ends, winners, swapped, problems, at, lines, spans):
    """Parse lines of `text` uint8 [T], which ends with a newline and three bytes of padding.

    `n` is the board size that records must have, `line` the number of the first line. Fills, for
    each record (a line that is neither empty nor a comment), `problems` uint8 (WHOLE or what is
    wrong), `at` int32 (the move number, from 1, or the other board size, at which that is),
    `lines` int64 and `spans` int64 [., 2] (its bytes in the text), and, for each game (a WHOLE
    record), its `moves` int16 up to `ends` int64, `winners` int8 and `swapped` bool.
    Returns (records, games, moves, following line).
    """
    records = games = m = p = 0
    size = len(text) - 3
    while p < size:
        p = _skip_blanks(text, p)
        start = p
        comment = text[p] == _HASH and (_is_blank(text[p + 1]) or text[p + 1] == _NEWLINE)
        if text[p] != _NEWLINE and not comment:
            first = m
            found, p = _read_size(text, p)
            problem = WHOLE
            winner = 0
            at[records] = 0
            if found < 0:
                problem = NO_RECORD
            elif found != n:
                problem = OTHER_SIZE
                at[records] = found
            else:
                p, m, problem = _read_moves(text, p, n, moves, m)
                at[records] = m - first + 1
                if problem == WHOLE:
                    winner, problem = _read_winner(text, p)
                    if m == first:
                        problem = NO_MOVES
            if problem == WHOLE:
                swap = m - first > 1 and moves[first] == moves[first + 1]
                if swap:
                    for k in range(first + 1, m):
                        moves[k - 1] = moves[k] % n * n + moves[k] // n
                    m -= 1
                    winner = BLUE + RED - winner
                ends[games], winners[games], swapped[games] = m, winner, swap
                games += 1
            else:
                m = first
            problems[records], lines[records], spans[records, 0] = problem, line, start
            while text[p] != _NEWLINE:
                p += 1
            spans[records, 1] = p
            records += 1
        while text[p] != _NEWLINE:
            p += 1
        p += 1
        line += 1
    return records, games, m, line


def padded(text: bytes) -> np.ndarray:
    """Whole lines as `parse` takes them: uint8 with newlines at the end."""
    return np.frombuffer(text + b"\n\n\n\n"[text.endswith(b"\n") :], np.uint8)


def blocks(path: Path | str) -> Iterator[np.ndarray]:
    """What `lines.blocks` reads, `padded`."""
    for block in lines.blocks(path):
        yield padded(block)


def board_size_of(path: Path | str) -> int | None:
    """Board size that the first record in a file names; None if there is none."""
    for block in lines.blocks(path):
        found = re.search(rb"^[ \t\r]*[^\s#]*#(\d{1,2}),", block, re.MULTILINE)
        if found:
            return int(found[1])
    return None


@njit(cache=True)
def _format(moves, offsets, winners, prefix, names, lengths, out):
    p = 0
    for g in range(len(winners)):
        for byte in prefix:
            out[p] = byte
            p += 1
        for k in range(offsets[g], offsets[g + 1]):
            for i in range(lengths[moves[k]]):
                out[p] = names[moves[k], i]
                p += 1
        out[p] = _SPACE
        out[p + 1] = _B if winners[g] == BLUE else _R
        out[p + 2] = _NEWLINE
        p += 3
    return p


def format_records(
    n: int, moves: np.ndarray, offsets: np.ndarray, winners: np.ndarray
) -> np.ndarray:
    """The lines of games (arrays as in `records.Games`), uint8."""
    cells = [cell_name(cell, n).encode() for cell in range(n * n)]
    names = np.frombuffer(b"".join(name.ljust(3) for name in cells), np.uint8).reshape(-1, 3)
    lengths = np.array([len(name) for name in cells], np.int64)
    prefix = np.frombuffer(f"#{n},".encode(), np.uint8)
    count = int(offsets[-1] - offsets[0])
    out = np.empty(3 * count + (len(prefix) + 3) * len(winners), np.uint8)
    return out[: _format(moves, offsets, winners, prefix, names, lengths, out)]
