"""The report: a synthetic run in the formats of the products, read back from the page."""

import base64
import hashlib
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from synthetic_run import digest, make_bucket, make_logs, make_run, put

from hexlib import logs
from hexlib.errors import BadInput
from hexlib.game.positions import read_positions, write_positions
from hexlib.ladder import write_ladder
from hexlib.stages import report
from hexlib.stages.report.pace import read_pace
from hexlib.stages.report.sample import read_sample
from hexlib.stages.selfplay import _pace

VOID = {"meta", "link", "br", "hr", "img", "input", "path", "use", "circle", "polygon", "polyline"}


class Page(HTMLParser):
    """The page as its parts: text, tables, ids, attributes; and whether its tags balance."""

    def __init__(self, html):
        super().__init__()
        self.open, self.text, self.ids, self.attributes, self.tables = [], [], [], [], {}
        self.row = None
        self.feed(html)
        self.close()
        assert self.open == [], "tags that are not closed"
        self.words = " ".join(" ".join(self.text).split())

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.note(attrs)
        if tag == "table":
            self.rows = []
        if tag == "tr":
            self.row = []
            self.rows.append(self.row)
        if tag in ("td", "th"):
            self.row.append("")
        if tag == "caption":
            self.caption = ""

    def handle_startendtag(self, tag, attrs):
        self.note(attrs)

    def note(self, attrs):
        self.attributes += attrs
        self.ids += [value for key, value in attrs if key == "id"]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag
        if tag == "table":
            self.tables[self.caption.strip()] = self.rows

    def handle_data(self, data):
        if "style" in self.open or "script" in self.open:
            return
        self.text.append(data)
        if self.open and self.open[-1] == "caption":
            self.caption += data
        elif "td" in self.open or ("th" in self.open and self.row):
            self.row[-1] += data


def render(run, tmp_path, logs=None):
    output = tmp_path / "page" / "index.html"
    report.run(run, output, logs)
    return output.read_text()


@pytest.fixture(scope="module")
def long_run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("results"), 20)


@pytest.fixture(scope="module")
def html(long_run, tmp_path_factory):
    return render(long_run, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_facts_of_the_run(long_run, page):
    games = sum(3900 - number for number in range(20))
    summaries = [
        json.loads((long_run / f"gen_{number:03d}/shuffle/summary.json").read_text())["rows"]
        for number in range(20)
    ]
    assert "Board 7×7" in page.words
    assert "Generations 20 of 20 planned" in page.words
    assert f"Games {games:,} kept" in page.words
    assert f"Positions {sum(summaries):,} to train on" in page.words
    assert "Time 34 min 10 s" in page.words  # 20 × (30 + 60.5 + 12) s
    assert "board_size: 7" in page.words
    assert "Missing or doubtful" not in page.words


def test_times_by_stage(page):
    table = page.tables["Time by stage"]
    assert table[1] == ["selfplay", "20", "10 min 00 s", "29%", "9 min 40 s", "512 MB"]
    assert [row[0] for row in table[1:]] == ["selfplay", "train", "evaluate", "all"]


def test_strength(long_run, page):
    ladder = pd.read_csv(long_run / "ladder.csv")
    shown = page.tables["Ladder"]
    assert len(shown) == 1 + 21
    last = ladder.iloc[-1]
    assert shown[-1][0] == "gen_019"
    assert shown[-1][2] == f"{last.elo:+,.0f}"
    assert shown[-1][3] == f"{last.elo_low:+,.0f} to {last.elo_high:+,.0f}"
    assert shown[1][0] == "initial"
    assert shown[1][2] == "+0"
    matches = page.tables["Matches"]
    assert matches[1] == [
        "gen_000 – initial",
        "200",
        "120 – 80",
        "60.0%",
        "53.2% to 66.5%",
        "70",
        "50",
        "64",
    ]
    solved = page.tables["Solved positions"]
    assert solved[2] == [
        "gen_001",
        "1,200",
        "64",
        "61.5%",
        "66.8%",
        "51.5%",
        "56.8%",
        "25 of 49",
        "27 of 49",
    ]


def test_every_chart_speaks(page):
    spoken = [value for key, value in page.attributes if key == "aria-label"]
    for title in [
        "Elo",
        "Solved positions: winner",
        "Solved positions: move",
        "Policy loss",
        "Value loss",
        "Policy top 1",
        "Value accuracy",
        "Learning rate",
        "Gradient norm",
        "Game length",
        "Blue's win rate",
        "Duplicates",
        "Lengths of games",
        "Policy entropy",
        "Chance foreseen and games won",
        "Calibration error",
    ]:
        assert any(label.startswith(f"{title}. ") for label in spoken), title
    move = next(label for label in spoken if label.startswith("Solved positions: move"))
    assert "with search: from 55.0% to 89.2%; network alone: from 50.0% to 78.5%" in move


def test_accounting_adds_up(page):
    table = page.tables["Records, positions and samples"]
    total = [int(cell.replace(",", "") or 0) for cell in table[-1][1:]]
    rows = [[int(cell.replace(",", "")) for cell in row[1:]] for row in table[1:-1]]
    assert [sum(column) for column in zip(*rows, strict=True)][:5] == total[:5]
    assert total[0] == total[1] + total[2] + total[3] == 20 * 4000
    assert total[6] == 20 * 76_800
    assert page.tables["Why records were rejected"][1:] == [
        ["unfinished", "140"],
        ["winner <wrong>", "60"],
    ]


def test_selfplay_statistics(page):
    row = page.tables["Games"][3]
    assert row[:2] == ["gen_002", "3,898"]
    assert row[4:] == [f"{2020 / 3898:.1%}", f"{92 / 4000:.1%}"]


def test_values_against_what_came(page):
    rows = page.tables["Chances of gen_019"][1:]
    assert sum(int(row[1]) for row in rows) == 400
    for row in rows:
        foreseen, won = (float(cell.rstrip("%")) / 100 for cell in row[2:])
        assert abs(foreseen - won) < 4 * np.sqrt(0.25 / int(row[1]))
    spoken = [value for key, value in page.attributes if key == "aria-label"]
    entropy = next(label for label in spoken if label.startswith("Policy entropy."))
    assert "from 0.6931 to 0.6931" in entropy  # ln 2, of two equal moves


def test_calibration_error_by_hand(tmp_path):
    make_bucket(tmp_path, 0, 5, rows=4)
    path = tmp_path / "shuffle/bucket_0000.npz"
    before = read_positions(path)
    values = np.array([0.5, 0.5, -0.9, np.nan], np.float16)
    after = replace(before, root_value=values, value=np.array([1, -1, -1, 1], np.int8))
    write_positions(path, after, {})
    sample = read_sample(path)
    assert sample.count.tolist() == [1, 0, 0, 0, 0, 0, 0, 2, 0, 0]
    assert sample.won.tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 0, 0]
    assert sample.error == pytest.approx((0.05 + 2 * 0.25) / 3, abs=1e-3)


def test_pace_from_what_selfplay_logs(tmp_path):
    folder = tmp_path / "selfplay"
    logs.start(folder / "shard_0000.log")
    progress = logs.Progress("selfplay shard_0000, generation 3", "games", 1500)
    progress._begun -= 100
    asked = SimpleNamespace(asked=400_000, hit_rate=0.25)
    progress.finish(1500, _pace(asked))
    pace = read_pace(folder)
    assert (pace.asked, pace.hit_rate) == (400_000, 0.25)
    assert pace.seconds == pytest.approx(100, abs=1)
    make_logs(tmp_path / "made", 1)
    two_shards = read_pace(tmp_path / "made/gen_000/selfplay")
    assert two_shards.asked == 800_000
    assert two_shards.rate == pytest.approx(720_000 / 200)
    assert read_pace(tmp_path) is None


def test_trials_of_a_sweep_and_pace_are_shown(tmp_path):
    run = make_run(tmp_path, 2, trials=3)
    make_logs(tmp_path / "logs", 2)
    page = Page(render(run, tmp_path, tmp_path / "logs"))
    table = page.tables["Trials of the sweep"]
    assert len(table) == 1 + 2 * 3
    losses = [float(row[2]) for row in table[4:]]
    assert np.diff(losses) == pytest.approx([0.1, 0.1])
    assert table[4][:2] == ["gen_001", "learning_rate=1e-3"]
    spoken = " ".join(value for key, value in page.attributes if key == "aria-label")
    assert "Cache hits. cache hits: from 10.0% to 11.0%." in spoken
    assert "Evaluations a second. evaluations a second: from 3,600 to 3,560." in spoken
    assert "learning_rate=3e-3: from" in spoken


def test_lineage(html, page):
    table = page.tables["Checkpoints"]
    assert table[2][:5] == ["gen_001", digest(0)[:10], digest(1)[:10], "17", "cpu"]
    assert f'title="{digest(19)}"' in html
    assert page.tables["What gen_019 was trained on"][1] == ["gen_019", "132,978"]


def test_first_move_against_the_truth(long_run, html, page):
    solved = json.loads((long_run / "gen_019/evaluate/solved.json").read_text())
    values, truth = np.array(solved["opening_values"]), np.array(solved["opening_truth"])
    wrong = int(((values > 0) != (truth > 0)).sum())
    assert 0 < wrong < 49
    assert f"Of 49 solved openings it judges {49 - wrong} rightly" in page.words
    assert html.count('<polygon class="wrong"') == wrong
    assert html.count('<polygon class="hexagon"') == 49 * 2  # and the board of the games
    # The name, value and place of a cell: d1 is the fourth of the first row, d2 lies half a cell
    # to the right of it and below.
    for cell, name in [(3, "d1"), (10, "d2"), (48, "g7")]:
        assert f"<title>{name}: value {values[cell]:+.2f}" in html
    places = {
        name: (float(x), float(y))
        for x, y, name in re.findall(
            r'<g transform="translate\(([\d.]+) ([\d.]+)\)">\s*<title>(\w+):', html
        )
    }
    step = places["b1"][0] - places["a1"][0]
    assert places["d2"][0] - places["d1"][0] == pytest.approx(step / 2, abs=0.11)
    assert places["d2"][1] > places["d1"][1]
    assert page.tables["First moves"][1][0] == "a1"
    edges = re.findall(r'<polyline class="edge (\w+)" points="([^"]+)"', html)
    assert len(edges) == 8  # the board of the games is drawn likewise
    heights = {"blue": [], "red": []}
    for colour, points in edges:
        ys = [float(point.split(",")[1]) for point in points.split()]
        heights[colour].append(max(ys) - min(ys))
    assert max(heights["blue"]) < 25 < 150 < min(heights["red"])  # blue lies flat, red climbs


def test_page_asks_nothing_of_others_and_is_whole(html, page):
    assert len(html.encode()) < 1_000_000
    for url in re.findall(r"https?:[^\s\"'<>)]+", html):
        # A name, or the start of a link that a person may follow: nothing that is loaded.
        named = re.search(rf'(xmlns(:\w+)?=|const SVG = )"{re.escape(url)}"', html)
        assert named or url.startswith("https://hexworld.org/board/#"), url
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in html
    assert "@import" not in html
    assert "url(" not in html.replace("url(#", "")
    loaded = [value for key, value in page.attributes if key in ("src", "href", "action", "data")]
    assert loaded
    assert all(value.startswith(("#", "data:,")) for value in loaded)
    assert len(page.ids) == len(set(page.ids)), "an id stands twice"
    inside = {value[1:] for value in loaded if value.startswith("#")}
    inside |= set(re.findall(r"url\(#([^)]+)\)", html))
    assert inside <= set(page.ids)


def test_charts_take_their_colours_from_the_page(html, page):
    assert "prefers-color-scheme: dark" in html
    pictures = html[html.index("<main>") :]
    hexes = re.findall(r"(?:fill|stroke): ?(#[0-9a-f]{3,8})", pictures)
    assert hexes == [], "a colour that does not follow light and dark"
    used = set(re.findall(r"var\((--[\w]+)\)", html))
    defined = set(re.findall(r"(--\w+):", html))
    assert used <= defined


def test_long_training_curves_are_thinned(tmp_path):
    run = make_run(tmp_path, 1)
    short = len(render(run, tmp_path))
    path = run / "gen_000/train/metrics.csv"
    metrics = pd.read_csv(path)
    steps = np.arange(1, 40_001)
    long = metrics.iloc[np.arange(len(steps)) % len(metrics)].assign(
        step=steps, samples=256 * steps
    )
    path.write_text(long.to_csv(index=False))
    html = render(run, tmp_path)
    assert len(html) < short + 150_000
    assert Page(html).tables["Last values of each generation"][1][1] == "40,000"


def test_same_run_same_bytes(long_run, html, tmp_path):
    assert render(long_run, tmp_path) == html


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("ladder.csv", "ladder.csv is missing"),
        ("config.yaml", "config.yaml is missing"),
        ("gen_001/clean/summary.json", "gen_001/clean/summary.json is missing"),
        ("gen_001/shuffle/summary.json", "gen_001/shuffle/summary.json is missing"),
        ("gen_001/shuffle/bucket_0000.npz", "gen_001/shuffle/bucket_0000.npz is missing"),
        ("gen_001/train/metrics.csv", "gen_001/train/metrics.csv is missing"),
        ("gen_001/train/lineage.json", "gen_001/train/lineage.json is missing"),
        ("gen_001/evaluate/solved.json", "gen_001/evaluate/solved.json is missing"),
        ("gen_001/evaluate/match.json", "gen_001/evaluate/match.json is missing"),
        ("benchmarks", "benchmarks has no times of any stage"),
    ],
)
def test_what_is_missing_or_damaged_is_told(tmp_path, part, says):
    run = make_run(tmp_path, 3)
    path = run / part
    if path.is_file():
        for damage in [b"", b"{torn", b"[1, 2]", b"\xff\xfe\x00"]:
            path.write_bytes(damage)
            (note,) = report.read_run(run).notes
            assert note.startswith(f"{part} cannot be read: ")
            assert str(tmp_path) not in note
        path.unlink()
    else:
        shutil.rmtree(path)
    page = Page(render(run, tmp_path))
    assert "Missing or doubtful: 1" in page.words
    assert says in page.words


def test_damaged_games_are_told_and_the_rest_is_shown(tmp_path):
    run = make_run(tmp_path, 2)
    (run / "gen_001/clean/chunk_0000.search.npz").write_bytes(b"torn")
    page = Page(render(run, tmp_path))
    assert "gen_001/clean cannot be read: chunk_0000.search.npz: not a whole search" in page.words
    assert "There are no cleaned games to watch." in page.words
    assert "Generations 2 of 2 planned" in page.words


def test_numbers_that_make_no_sense_do_not_stop_the_page(tmp_path):
    run = make_run(tmp_path, 2)
    edits = {
        "gen_000/clean/summary.json": {"records": 0, "blue_wins": 5000, "length_histogram": {}},
        "gen_000/evaluate/solved.json": {"positions": None, "raw": None, "opening_values": None},
        "gen_000/evaluate/match.json": {"interval": None, "simulations": None},
        "gen_001/evaluate/solved.json": {"opening_values": [float("nan")] * 49},
    }
    for name, edit in edits.items():
        put(run / name, {**json.loads((run / name).read_text()), **edit})
    metrics = run / "gen_000/train/metrics.csv"
    metrics.write_text(metrics.read_text() + "305,78080,0.0")
    metrics = run / "gen_001/train/metrics.csv"
    metrics.write_text(metrics.read_text().splitlines()[0] + "\n")
    page = Page(render(run, tmp_path))
    assert "gen_000: the records do not add up" in page.words
    assert "gen_001/evaluate/solved.json cannot be read: opening_values.0" in page.words
    assert "No generation has judged the first moves yet." in page.words
    assert page.tables["Matches"][1][4] == "53.1% to 66.5%"  # Wilson's formula by hand
    assert [row[0] for row in page.tables["Last values of each generation"][1:]] == ["gen_000"]


def test_run_that_has_only_begun(tmp_path):
    put(tmp_path / "new/config.yaml", "run: new\nboard_size: 5\n")
    page = Page(render(tmp_path / "new", tmp_path))
    for said in [
        "Board 5×5",
        "No generation has been evaluated yet.",
        "No generation has judged the first moves yet.",
        "No generation has been trained yet.",
        "No games have been cleaned yet.",
        "No records have been cleaned yet.",
        "No checkpoint has been trained yet.",
    ]:
        assert said in page.words


def test_one_generation_on_a_board_without_solution(tmp_path):
    run = make_run(tmp_path, 1, size=13)
    path = run / "gen_000/evaluate/solved.json"
    put(path, {**json.loads(path.read_text()), "opening_truth": None})
    html = render(run, tmp_path)
    page = Page(html)
    assert "No solution of this board is known." in page.words
    assert html.count('<polygon class="hexagon"') == 169 * 2
    assert 'class="wrong"' not in html
    assert page.tables["First moves"][0] == ["first move", "value for blue"]


def test_accounts_and_lineage_that_do_not_fit_are_told(tmp_path):
    run = make_run(tmp_path, 2)
    path = run / "gen_001/clean/summary.json"
    put(path, {**json.loads(path.read_text()), "records": 4001})
    path = run / "gen_001/train/lineage.json"
    put(path, {**json.loads(path.read_text()), "parent": "f" * 64})
    words = Page(render(run, tmp_path)).words
    assert "gen_001: the records do not add up" in words
    assert "gen_001 was trained from another checkpoint" in words


def test_names_from_files_are_text_and_not_markup(tmp_path):
    run = make_run(tmp_path, 1, name="a&b")
    path = run / "gen_000/evaluate/match.json"
    match = json.loads(path.read_text())
    match["b"]["name"] = "htp:<script>alert(1)</script>"
    put(path, match)
    write_ladder([path], run / "ladder.csv")
    html = render(run, tmp_path)
    assert "<script>alert" not in html
    assert "htp:<script>alert(1)</script>" in Page(html).words


def test_wrong_folder_is_bad_input(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=r"holds neither config\.yaml nor gen_000"):
        report.run(tmp_path / "empty", tmp_path / "index.html")
    with pytest.raises(BadInput, match="no such folder"):
        report.run(tmp_path / "absent", tmp_path / "index.html")
    assert not (tmp_path / "index.html").exists()
