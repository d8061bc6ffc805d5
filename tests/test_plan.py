"""What a plan says of a run before it is made, against what the stages then make."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from synthetic import made_up_search, random_games

from hexlib import cli
from hexlib.game import records
from hexlib.planning import disk
from hexlib.planning.forecast import forecast
from hexlib.run_config import Config
from hexlib.settings import Process
from hexlib.stages import clean, process, shuffle

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.parametrize("n", [5, 11])
@pytest.mark.parametrize("searched", [False, True])
def test_games_that_are_there_are_planned_to_the_byte_almost(tmp_path, n, searched):
    games = random_games(n, 400, seed=1)
    given = tmp_path / "given/games.trmph"
    given.parent.mkdir()
    given.write_bytes(records.records_of(games).tobytes())
    if searched:
        records.write_search(given.with_suffix(".search.npz"), made_up_search(games), {})
    config = Config(
        board_size=n,
        generations={"count": 1},
        selfplay={"existing": [str(given.parent)]},
        clean={"chunk_size": 200},
        shuffle={"buckets": 3},
        keep_intermediate=True,
    )
    planned = disk.plan(config)
    (made,) = planned.generations
    assert made.games == 400
    assert made.moves == pytest.approx(len(games.moves), rel=0.02)
    folder = tmp_path / "made"
    clean.run([given.parent], folder / "clean", n, config.clean)
    for chunk in ("chunk_0000", "chunk_0001"):
        npz = folder / f"process/{chunk}.npz"
        process.run(folder / f"clean/{chunk}.trmph", npz, config.process, n)
        shuffle.scatter(npz, folder / "parts" / chunk, 3, 0)
    parts = sorted((folder / "parts").iterdir())
    for bucket in range(3):
        shuffle.gather(parts, bucket, folder / f"shuffle/bucket_{bucket:04d}.npz", 0)
    stages = {"clean": "clean", "process": "process", "shuffle": "shuffle"}
    stages["shuffle, scattered"] = "parts"
    for stage, name in stages.items():
        took = sum(path.stat().st_size for path in (folder / name).rglob("*") if path.is_file())
        assert planned.by_stage()[stage] == (pytest.approx(took, rel=0.05), True), stage
    assert planned.kept == planned.most


def test_what_is_dropped_counts_while_it_is_there():
    dropped, kept = disk.plan(Config()), disk.plan(Config(keep_intermediate=True))
    intermediate = [item for item in dropped.items if not item.kept]
    assert {item.stage for item in intermediate} == {"process", "shuffle, scattered"}
    assert kept.kept - dropped.kept == sum(item.size for item in intermediate)
    last = sum(item.size for item in intermediate if item.generation == 11)
    assert dropped.kept + last <= dropped.most < dropped.kept + 3 * last


def test_settings_change_what_is_forecast():
    def one(**settings):
        return forecast(Config(generations={"count": 1}, **settings))[0]

    usual = one()
    assert one(selfplay={"games": 6000}).rows == 2 * usual.rows
    minimax = one(selfplay={"search": "minimax"})
    assert minimax.entries < minimax.moves < usual.entries
    final, last = (one(process=Process(positions=mode)) for mode in ("final", "penultimate"))
    assert (final.rows, final.row_entries) == (3000, 0)
    assert last.rows == 3000 < last.row_entries
    assert usual.rows == usual.moves + usual.games
    assert one(train={"max_samples": 100}).samples == 100
    assert 0 < usual.searched < usual.moves
    assert one(selfplay={"random_openings": 0}).searched > usual.searched
    assert one(process={"decided": 0.25}).samples < usual.samples
    replies = one(process={"replies": True})
    assert replies.row_entries - usual.row_entries == usual.searched - usual.games
    cheap, resigned = (one(selfplay=s) for s in ({"full_search": 0.5}, {"resign_value": 0.95}))
    assert cheap.rows == resigned.rows == usual.rows
    assert cheap.entries < usual.entries
    assert max(cheap.samples, resigned.samples) < usual.samples
    assert one(selfplay={"early_stones": 8}).early > usual.early
    assert one(selfplay={"random_openings": 0, "balanced_first_move": 0}).early == 4 * usual.games
    first, second = forecast(Config(generations={"count": 2}))
    assert first == usual
    assert second.entries < first.entries
    continued = forecast(Config(generations={"count": 12, "first": 11}))
    assert [made.number for made in continued] == [11]
    assert continued[0].entries < second.entries


def test_it_is_said_in_words_and_as_json(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10**6))
    monkeypatch.chdir(REPOSITORY)
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"run: mine\nresults_dir: {tmp_path}/absent/results\n")
    assert cli.main(["plan", "--config", str(settings)]) == 0
    said = capsys.readouterr().out
    # What the file leaves out is as config/config.yaml has it.
    assert said.startswith("run mine: 14 generations on 5×5, 7×7\ngames: 42,000\n")
    assert "1 MB are free" in said
    assert "NOT ENOUGH" in said
    assert cli.main(["plan", "--config", str(settings), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["disk"]["kept"] < document["disk"]["most"]
    assert len(document["generations"]) == 14
    settings.write_text("selfplay: {games: 7}\n")  # so are the other keys of the section
    assert cli.main(["plan", "--config", str(settings)]) == 0
    assert "\ngames: 98\n" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)  # where there is no other configuration
    assert cli.main(["plan", "--config", str(settings)]) == 0
    assert capsys.readouterr().out.startswith("run default: 12 generations on 7×7\ngames: 84\n")
    monkeypatch.chdir(REPOSITORY)
    assert cli.main(["plan"]) == 0
    assert capsys.readouterr().out.startswith("run default: 14 generations")


def test_games_that_are_missing_are_said(tmp_path, capsys):
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"generations: {{count: 1}}\nselfplay: {{existing: [{tmp_path}/none]}}\n")
    assert cli.main(["plan", "--config", str(settings)]) == 2
    assert "no such file or folder of games" in capsys.readouterr().err
