"""The report and an analysed game in a browser: they open from disk, and can be stepped through."""

import re

import pytest
from browser import Visitor, browser  # noqa: F401, a fixture
from synthetic_run import make_run

from hexlib.cli import main
from hexlib.game.convert import read_any
from hexlib.game.hexworld import format_hexworld
from hexlib.game.notation import cell_name, trmph_line
from hexlib.nn.checkpoint import Checkpoint, save_checkpoint
from hexlib.nn.model import random_network
from hexlib.search.standing import standing_after
from hexlib.settings import Net
from hexlib.stages import report
from hexlib.stages.report.read import read_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("results"), 20, trials=5)


@pytest.fixture(scope="module")
def path(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "index.html"
    report.run(run, path)
    return path


@pytest.fixture
def visitor(browser, path):  # noqa: F811
    visitor = Visitor(browser, "file:")
    visitor.page.goto(path.as_uri())
    yield visitor
    assert visitor.faults == []
    visitor.context.close()


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_every_window_and_has_no_fault(browser, path, width, scheme):  # noqa: F811
    visitor = Visitor(browser, "file:", width, scheme)
    visitor.page.goto(path.as_uri())
    assert visitor.overflow() == 0
    assert visitor.page.locator("figure svg").count() >= 13
    assert visitor.faults == []
    visitor.context.close()


def test_page_of_a_long_run_is_small(visitor, path):
    """Few bytes and few elements make it draw soon; docs/pictures.py takes the time."""
    assert path.stat().st_size < 1_000_000
    assert visitor.page.locator("*").count() < 12_000
    assert visitor.page.locator("canvas, img, iframe").count() == 0
    # Each chart has the marks of a chart, however many steps were taken.
    parts = visitor.page.locator("figure svg").evaluate_all(
        "charts => charts.map(chart => chart.querySelectorAll('*').length)"
    )
    assert max(parts) < 400
    # Within a bound that a busy machine keeps, too: two seconds are wanted, 0.4 s were measured.
    milliseconds = visitor.page.evaluate(
        """new Promise((drawn) => requestAnimationFrame(() => setTimeout(() => drawn(
            performance.getEntriesByType("paint").at(-1).startTime))))"""
    )
    assert 0 < milliseconds < 20_000


def test_nobody_is_kept_out(visitor):
    visitor.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    visitor.page.locator('[data-part="ply"]').fill("20")
    visitor.page.locator('[data-part="numbers"]').check()
    assert visitor.barriers() == []


def test_a_screen_reader_is_told_the_board_and_the_move(visitor, run):
    game = read_run(run).games[0]
    board = visitor.page.locator("[data-viewer] svg.board")
    visitor.part("ply").fill("3")
    first, second, third = (cell_name(cell, game.size) for cell in game.moves[:3])
    blue = ", ".join(cell_name(c, game.size) for c in sorted([game.moves[0], game.moves[2]]))
    assert board.get_attribute("aria-label") == (
        f"Hex board of 7 by 7 cells. Blue stones: {blue}. Red stones: {second}."
    )
    assert visitor.part("status").get_attribute("role") == "status"
    assert f"blue plays {third}" in visitor.status()
    visitor.part("first").click()
    assert "Blue stones: none. Red stones: none." in board.get_attribute("aria-label")
    assert first in visitor.part("moves").locator("button").first.get_attribute("aria-label")


def test_the_move_that_is_shown_is_in_sight_in_the_list(visitor):
    inside = """list => {
        const outer = list.getBoundingClientRect();
        const inner = list.querySelector("[aria-current]").getBoundingClientRect();
        return Math.min(inner.top - outer.top, outer.bottom - inner.bottom);
    }"""
    assert visitor.part("moves").evaluate(inside) >= -1  # the last move, as the page opens
    visitor.part("ply").fill("1")
    assert visitor.part("moves").evaluate(inside) >= -1


def test_game_is_stepped_by_keys_buttons_and_jumps(visitor, run):
    game = read_run(run).games[0]
    visitor.page.locator("[data-viewer]").focus()
    length = len(game.moves)
    stones = visitor.page.locator("[data-viewer] .cell.blue, [data-viewer] .cell.red")
    assert stones.count() == length
    assert visitor.page.locator(".cell.chain").count() == len(game.data["chain"]) >= game.size
    visitor.page.keyboard.press("Home")
    assert stones.count() == 0
    for _ in range(3):
        visitor.page.keyboard.press("ArrowRight")
    assert stones.count() == 3
    assert visitor.status().startswith(f"Ply 3 of {length}: blue plays ")
    visitor.page.keyboard.press("ArrowLeft")
    visitor.part("on").click()
    visitor.part("on").click()
    assert stones.count() == 4
    visitor.part("ply").fill("7")
    assert stones.count() == 7
    visitor.part("moves").locator("button").nth(9).click()
    assert stones.count() == 10
    visitor.page.locator('[data-part="policy"]').check()
    heated = visitor.page.locator('[data-viewer] .heat:not([fill-opacity="0"])')
    assert heated.count() == len(game.plies[10].policy) == 1
    value = 50 + 50 * game.plies[10].value
    assert visitor.part("balance").inner_text() == f"blue wins with {value:.0f} %"
    visitor.part("last").click()
    assert stones.count() == length


@pytest.fixture(scope="module")
def thought(tmp_path_factory):
    """A run whose last network is there, and its page."""
    folder = tmp_path_factory.mktemp("thought")
    run = make_run(folder, 1)
    network = random_network(Net(blocks=1, channels=8), 0)
    save_checkpoint(run / "gen_000/train/checkpoint.pt", Checkpoint(network, [7], {}))
    report.run(run, folder / "index.html")
    return run, folder / "index.html"


def test_line_and_values_that_the_last_network_expects(browser, thought, tmp_path):  # noqa: F811
    run, path = thought
    report.run(run, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == path.read_bytes()
    game = read_run(run).games[0]
    for at, ply in enumerate(game.plies[:-1]):
        standing_after(game.size, [*game.moves[:at], *ply.line])  # legal
        assert ply.line
    ply = game.plies[10]
    assert len(ply.values) > 1
    chances = [chance for _, chance in ply.values]
    assert chances == sorted(chances, reverse=True)
    assert 0 <= chances[-1] <= chances[0] <= 1
    visitor = Visitor(browser, "file:")
    visitor.page.goto(path.as_uri())
    visitor.part("ply").fill("10")
    visitor.part("line").check()
    expected = visitor.page.locator("[data-viewer] .cell.expected")
    assert expected.count() == len(ply.line[:9])
    first = visitor.page.locator(f'[data-viewer] [data-cell="{ply.line[0]}"] text')
    assert first.text_content() == "1"
    visitor.part("line").uncheck()
    visitor.part("values").check()
    assert not visitor.part("policy").is_checked()
    best = visitor.page.locator(f'[data-viewer] [data-cell="{ply.values[0][0]}"] text')
    assert abs(int(best.text_content()) - 100 * chances[0]) <= 0.51
    heated = visitor.page.locator('[data-viewer] .heat:not([fill-opacity="0"])')
    assert heated.count() == len(chances)
    assert "Chance to win by move: " in visitor.status()
    assert visitor.overflow() == 0
    assert visitor.faults == []
    visitor.context.close()


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_an_analysed_game_marks_blunders(browser, thought, tmp_path, width, scheme):  # noqa: F811
    """Red is about to join its edges through c3 alone, and blue's ninth move goes elsewhere."""
    game, page = tmp_path / "game.trmph", tmp_path / "game.html"
    game.write_text("#5,a1a3b1b3c1d3d1e3e5c3 r\n")
    checkpoint = thought[0] / "gen_000/train/checkpoint.pt"
    options = ["--checkpoint", str(checkpoint), "--output", str(page), "--simulations", "32"]
    assert main(["analyze", str(game), *options, "--device", "cpu"]) == 0
    visitor = Visitor(browser, "file:", width, scheme)
    visitor.page.goto(page.as_uri())
    ninth = visitor.part("moves").locator("button").nth(8)
    assert "blunder" in ninth.get_attribute("aria-label")
    visitor.part("ply").fill("8")
    best = visitor.page.locator(".cell.best")
    assert best.get_attribute("data-cell") == "12"  # c3
    ninth.click()
    assert re.search(
        r"blue plays e5\. His chance goes from \d+% to 0%; best was c3\. A blunder",
        (visitor.status()),
    )
    row = visitor.page.locator("tbody tr").nth(8).locator("th, td").all_inner_texts()
    assert row[1:4] == ["blue", "e5", "c3"]
    assert row[-1] == "blunder"
    assert visitor.overflow() == 0
    assert visitor.barriers() == []
    assert visitor.faults == []
    visitor.page.screenshot(path=tmp_path / "analysis.png", full_page=True)
    visitor.context.close()


def test_games_are_chosen_and_copied(visitor, run, tmp_path):
    games = read_run(run).games
    options = visitor.part("game").locator("option").all_inner_texts()
    assert options == [game.title for game in games]
    assert len({option.partition(":")[0] for option in options}) == 3
    visitor.part("game").select_option("2")
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    wanted = trmph_line(7, games[2].moves, games[2].winner)
    for name, text in [("copy-trmph", wanted), ("copy-sgf", "(;FF[4]GM[11]SZ[7]RE[")]:
        visitor.part(name).click()
        visitor.page.get_by_text("is copied.").wait_for()
        assert visitor.page.evaluate("navigator.clipboard.readText()").startswith(text)
    # What the scripts write is what the library reads and writes.
    sgf = tmp_path / "game.sgf"
    sgf.write_text(visitor.page.evaluate("navigator.clipboard.readText()"))
    ((game, connected),) = read_any(sgf)
    assert (game.moves, game.winner, connected) == (games[2].moves, games[2].winner, True)
    link = visitor.part("hexworld").get_attribute("href")
    assert link == format_hexworld(game, connected)


def test_choice_of_games(run):
    games = read_run(run).games
    kinds = [game.title.partition(":")[0] for game in games]
    assert kinds == [
        kind for kind in ("Longest", "Most surprising", "Lost by the favourite") for _ in range(2)
    ]
    assert all(re.fullmatch(r"gen_019/clean/chunk_0000\.trmph, game \d+", g.source) for g in games)
    assert len({tuple(game.moves) for game in games}) == 6
    for game in games[4:]:  # whom the mean value names has lost
        known = [ply.value for ply in game.plies[:-1] if ply.value is not None]
        assert (sum(known) < 0) == (game.winner == 1)
    assert len(games[0].moves) >= len(games[1].moves) >= max(len(g.moves) for g in games[2:])
