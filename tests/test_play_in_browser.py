"""Whole games against the network, by clicking and by keyboard alone."""

import re

import pytest
from browser import Visitor, browser  # noqa: F401, a fixture
from test_play import checkpoint, player, serving  # noqa: F401, two fixtures

from hexlib.game.board import BLUE, RED
from hexlib.play.notes import read_game
from hexlib.search.standing import standing_after

pytestmark = pytest.mark.slow
SIZE = 5


@pytest.fixture(scope="module")
def address(player):  # noqa: F811
    with serving(player) as served:
        yield f"{served}/"


@pytest.fixture(params=[(1280, "light"), (360, "dark")], ids=["wide", "narrow"])
def visitor(request, browser, address):  # noqa: F811
    visitor = Visitor(browser, address, *request.param)
    yield visitor
    assert visitor.overflow() == 0
    assert visitor.faults == []
    visitor.context.close()


def record(visitor):
    """The moves of the game on the page, from the file that it offers to save."""
    with visitor.page.expect_download() as download:
        visitor.part("trmph").click()
    return read_game(download.value.path().read_text())[1]


def wait_for_turn(visitor):
    """Wait until the network has moved; whether the game goes on."""
    visitor.page.locator('[data-play][aria-busy="false"]').wait_for()
    return "Your move" in visitor.status()


def empty(visitor):
    """A cell to play: the middle first, then whatever lies nearest to it."""
    free = visitor.page.locator(".cell:not(.blue):not(.red)").evaluate_all(
        "cells => cells.map(cell => Number(cell.dataset.cell))"
    )
    return min(free, key=lambda cell: abs(cell // SIZE - 2) + abs(cell % SIZE - 2))


def cell(visitor, number):
    return visitor.page.locator(f'[data-cell="{number}"]')


def test_whole_game_by_clicking(visitor, address):
    visitor.page.goto(f"{address}?size={SIZE}&simulations=16")
    visitor.part("hints").check()
    made = 0
    while wait_for_turn(visitor):
        visitor.part("balance").wait_for()
        assert visitor.page.locator(".cell.best").count() == 1
        if not made:
            visitor.part("numbers").check()
            assert visitor.barriers() == []
            visitor.part("values").check()
            visitor.page.locator('.heat:not([fill-opacity="0"])').first.wait_for()
            spoken = cell(visitor, SIZE**2 // 2).get_attribute("aria-label")
            assert re.fullmatch(r"c3, empty, \d+ %", spoken)
            visitor.part("hints").check()
            assert not visitor.part("values").is_checked()
            assert wait_for_turn(visitor)
            visitor.part("balance").wait_for()
        made += 1
        cell(visitor, empty(visitor)).click()
    moves = record(visitor)
    standing = standing_after(SIZE, moves)
    assert standing.winner
    assert ("You have joined" in visitor.status()) == (standing.winner == BLUE)
    assert visitor.page.locator(".cell.chain").count() == len(standing.chain)
    cell(visitor, empty(visitor) if len(moves) < SIZE**2 else 0).click()
    assert record(visitor) == moves  # nothing is played after the end
    visitor.part("undo").click()
    assert wait_for_turn(visitor)
    assert len(record(visitor)) < len(moves)
    visitor.part("resign").click()
    visitor.page.get_by_text("You resign: the network wins.").wait_for()
    visitor.part("undo").click()
    assert wait_for_turn(visitor)


def test_whole_game_by_keyboard(visitor, address):
    visitor.page.goto(f"{address}?size={SIZE}&simulations=4&colour=red")
    keyboard = visitor.page.keyboard
    assert wait_for_turn(visitor)
    while "cell" not in (visitor.page.evaluate("document.activeElement.className.baseVal") or ""):
        keyboard.press("Tab")
    while wait_for_turn(visitor):
        there = empty(visitor)
        here = int(visitor.page.evaluate("document.activeElement.dataset.cell"))
        across, down = there % SIZE - here % SIZE, there // SIZE - here // SIZE
        for key, times in [
            ("ArrowRight", across),
            ("ArrowLeft", -across),
            ("ArrowDown", down),
            ("ArrowUp", -down),
        ]:
            for _ in range(max(0, times)):
                keyboard.press(key)
        spoken = visitor.page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert spoken.endswith(", empty")
        keyboard.press("Enter")
        played = visitor.page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert played.endswith(", red")
    standing = standing_after(SIZE, record(visitor))
    assert ("You have joined" in visitor.status()) == (standing.winner == RED)


def test_swap_paste_reload_and_another_size(visitor, address):
    visitor.page.goto(f"{address}?size={SIZE}&simulations=4&colour=red&swap=on")
    assert wait_for_turn(visitor)
    (first,) = record(visitor)
    visitor.part("swap").click()
    assert wait_for_turn(visitor)
    moves = record(visitor)
    assert moves[:2] == [first, first]
    assert "red" in cell(visitor, first).get_attribute("class").split()
    assert len(moves) == 3
    visitor.page.reload()
    assert wait_for_turn(visitor)
    assert record(visitor) == moves
    visitor.part("text").fill("no game")
    visitor.part("paste").locator("button").click()
    visitor.page.get_by_text("This is no game to go on from").wait_for()
    visitor.part("text").fill("https://trmph.com/hex/board#4,b2c1c3")
    visitor.part("paste").locator("button").click()
    visitor.page.wait_for_url("**size=4**")
    assert wait_for_turn(visitor)
    assert visitor.page.locator("[data-cell]").count() == 16
    with visitor.page.expect_download() as download:
        visitor.part("trmph").click()
    assert download.value.path().read_text() == "#4,b2c1c3\n"
    visitor.part("new").locator("button").click()
    assert wait_for_turn(visitor)
    with visitor.page.expect_download() as download:
        visitor.part("sgf").click()
    assert download.value.path().read_text().startswith("(;FF[4]GM[11]SZ[4];B[")
