"""The time that a run will take on given machines, and where the rates behind it are from."""

import json
import re
from pathlib import Path

import pytest
import yaml
from synthetic_run import make_run

from hexlib import cli
from hexlib.config import read_config
from hexlib.errors import BadInput
from hexlib.planning import fleet
from hexlib.planning.disk import plan
from hexlib.planning.measured import measured_rates
from hexlib.planning.prediction import THREADS_GAIN, evaluations, predict
from hexlib.planning.schedule import Batch, run
from hexlib.run_config import Config

REPOSITORY = Path(__file__).parents[1]
FLEETS = sorted((REPOSITORY / "config/fleets").glob("*.yaml"))
SMALL = {"board_size": 5, "generations": {"count": 3}}


def predicted(machines, settings=SMALL, measured=None, **shared):
    given = fleet.Fleet(machines=machines, **shared)
    return predict(plan(Config(**settings)), given, measured or {}, "fleet.yaml")


def test_jobs_take_turns_and_the_last_waits_for_all():
    first = Batch("a", 5, [10.0])
    last = Batch("b", 1, [5.0], after=[first])
    done = run([first, last], [2], [0], None)
    assert (done.wall, done.waited) == (35.0, {"a": 30.0, "b": 5.0})
    assert done.busy == {"a": 50.0, "b": 5.0}
    assert done.at_once == {"a": 2, "b": 1}


def test_others_fill_the_gaps():
    slow, beside = Batch("slow", 1, [10.0]), Batch("beside", 3, [3.0])
    done = run([slow, beside], [2], [0], None)
    assert done.wall == 10
    assert done.waited == {"slow": 10.0}


def test_a_job_takes_the_fastest_machine_that_has_room():
    done = run([Batch("a", 3, [10.0, 4.0])], [1, 1], [0, 0], None)
    assert done.wall == 10
    assert run([Batch("a", 1, [10.0, 4.0])], [1, 1], [0, 0], None).wall == 4


def test_jobs_at_once_are_limited_and_gpus_are_counted_apart():
    assert run([Batch("a", 4, [1.0])], [4], [0], 1).wall == 4
    both = [Batch("a", 4, [1.0]), Batch("b", 4, [1.0], gpu=True)]
    assert run(both, [4], [2], None).wall == 2
    assert run([Batch("a", 2, [1.0], gpu=True, slots=2)], [1], [2], None).wall == 2
    with pytest.raises(ValueError, match="no machine can run a job of a"):
        run([Batch("a", 1, [1.0], gpu=True)], [4], [0], None)


def test_rates_are_those_of_the_page():
    text = (REPOSITORY / "docs/benchmarks.md").read_text()

    def measured(section, *words, column):
        part = re.search(rf"<!-- {section}: begin -->.*?<!-- {section}: end -->", text, re.S)[0]
        for line in part.splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if tuple(cells[: len(words)]) == words:
                return float(cells[column].split()[0].replace(",", ""))
        raise AssertionError(words)

    def near(value):
        return pytest.approx(value, rel=0.3)

    for (blocks, channels, n), rate in fleet.EVALUATIONS.items():
        row = (f"{blocks}×{channels}", f"{n}×{n}")
        assert rate == near(measured("inference", *row, column=6))
        if (blocks, channels, n) in fleet.TORCH:
            assert fleet.TORCH[blocks, channels, n] == near(measured("inference", *row, column=4))
            assert fleet.SAMPLES[blocks, channels, n] == near(measured("train", row[0], column=2))
    games = measured("clean", "games cleaned", "hexlib", column=2)
    assert near(games * 153) == fleet.CLEANED
    assert near(60 * measured("process", "hexlib", column=3)) == fleet.PROCESSED
    assert near(60 * measured("shuffle", "hexlib", column=3)) == fleet.SHUFFLED
    assert near(60 * measured("shuffle-many", "cp, synced", column=1)) == fleet.DISK
    start = measured("selfplay", "start of a 7×7 job, 4×32 net, wall time", column=1)
    assert near(start) == fleet.START


@pytest.mark.parametrize("path", FLEETS, ids=lambda path: path.stem)
def test_the_fleets_here_are_such(path):
    assert fleet.read_fleet(path).total("cores") == 1600


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("machines: [{cores: 4, gpu: 1}]", ":1: unknown key machines.0.gpu; did you mean"),
        ("machines:\n- count: 3\n", ":2: machines.0.cores: is wanted here"),
        ("machines:\n- cores: 4\n  count: 0\n", ":3: machines.0.count: Input should be greater"),
        ("machines: []", "machines: List should have at least 1 item"),
        ("machines: [{cores: 1, gpus: 1}]", "each GPU keeps one core busy"),
        ("- 3", "holds list, where keys and values are wanted"),
        ("a: [", "not YAML"),
    ],
)
def test_a_fleet_that_is_none_is_told_with_its_line(tmp_path, capsys, text, said):
    path = tmp_path / "fleet.yaml"
    path.write_text(text)
    assert cli.main(["plan", "--config", "config/config.yaml", "--fleet", str(path)]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"hexlib plan: {path}")
    assert said in printed
    assert len(printed.splitlines()) == 1


def test_what_a_fleet_cannot_run_is_told():
    with pytest.raises(BadInput, match=r"no machine has a GPU, and inference\.device: cuda asks"):
        predicted([{"cores": 4}], SMALL | {"inference": {"device": "cuda"}})
    with pytest.raises(BadInput, match="no GPU has been measured; play one shard there"):
        predicted([{"cores": 4, "gpus": 1}])
    several = SMALL | {"train": {"processes": 4}}
    with pytest.raises(BadInput, match=r"no machine has 4 GPUs, and train\.processes: 4"):
        predicted([{"cores": 4, "gpus": 2, "gpu_evaluations": 9}], several)


def test_more_machines_take_less_time_and_move_as_much():
    settings = SMALL | {"selfplay": {"games": 100_000, "shards": 64}}
    few, many = (predicted([{"cores": 8, "count": count}], settings) for count in (1, 8))
    assert many.schedule.waited["selfplay"] < few.schedule.waited["selfplay"] / 3
    assert many.schedule.wall < few.schedule.wall
    assert few.moved == many.moved
    assert few.schedule.at_once["selfplay"] == 8
    assert many.schedule.at_once["selfplay"] == 64
    assert sum(few.schedule.waited.values()) == pytest.approx(few.schedule.wall)


def test_a_training_on_several_cores_takes_less_time():
    one, four = (
        predicted([{"cores": 8}], SMALL | {"train": {"threads": threads}}) for threads in (1, 4)
    )
    gain = one.schedule.waited["train"] / four.schedule.waited["train"]
    assert 2 < gain < 4
    few = predicted([{"cores": 2}], SMALL | {"train": {"threads": 4}})  # as many as there are
    assert few.schedule.waited["train"] > four.schedule.waited["train"]


def test_a_slow_disk_is_the_bottleneck_of_what_moves_bytes():
    fast = predicted([{"cores": 8}])
    slow = predicted([{"cores": 8}], shared_disk=1e4)
    assert slow.schedule.wall > 10 * fast.schedule.wall
    assert slow.bottleneck == "shuffle"
    assert "disks" in slow.remedy


def test_too_few_shards_are_the_first_thing_to_change():
    hard = SMALL | {"selfplay": {"simulations": 2000, "shards": 2}}
    found = predicted([{"cores": 16}], hard)
    assert found.bottleneck == "selfplay"
    assert found.remedy == "raise selfplay.shards: 2 jobs leave 14 of 16 cores idle"
    enough = predicted([{"cores": 2}], hard)
    assert enough.remedy.startswith("add machines, or lower")


def test_matches_hold_up_no_generation_but_with_a_gate():
    settings = SMALL | {"evaluate": {"games": 20_000}}
    usual = predicted([{"cores": 2}], settings).schedule
    gated = predicted([{"cores": 2}], settings | {"evaluate": {"games": 20_000, "gate": True}})
    assert usual.wall < gated.schedule.wall


def test_overlapping_generations_wait_less():
    usual = predicted([{"cores": 4}]).schedule
    overlapping = predicted([{"cores": 4}], SMALL | {"window": {"async": True}}).schedule
    assert overlapping.wall < usual.wall
    assert sum(overlapping.busy.values()) == pytest.approx(sum(usual.busy.values()))


def test_rates_of_the_file_come_first_then_those_of_a_run(tmp_path):
    made = make_run(tmp_path, 3)
    names = {"selfplay": "shard_0000", "train": "train", "evaluate": "match"}
    for path in made.glob("benchmarks/gen_*/*/0.tsv"):
        path.rename(path.with_stem(names[path.parent.name]))
    measured = measured_rates(made)
    assert set(measured) == {"evaluate", "learn", "match", "start"}
    # A job of it takes 12 s at least.
    assert 1 / measured["start"].value == 12
    assert measured["evaluate"].source == f"{made}/benchmarks, 3 jobs"
    lineages = [json.loads(path.read_text()) for path in made.glob("*/train/lineage.json")]
    samples = sum(lineage["samples"] for lineage in lineages)
    assert measured["learn"].value == pytest.approx(samples / (3 * (60.5 - 12)))
    config = read_config(made / "config.yaml").model_dump(by_alias=True)
    found = predicted([{"cores": 2}], config, measured)
    assert f"{made}/benchmarks, the shortest job" in {rate.source for rate in found.rates}
    own = [{"cores": 2, "core_evaluations": 7, "measured": "by hand"}]
    found = predicted(own, config, measured, job_seconds=3)
    by_source = {rate.source: rate.value for rate in found.rates}
    assert by_source["given in fleet.yaml: by hand"] == 7
    assert by_source["given in fleet.yaml: job_seconds"] == pytest.approx(1 / 3)
    config["train"]["threads"] = 2
    (made / "config.yaml").write_text(yaml.safe_dump(config))
    of_a_core = measured["learn"].value / 2**THREADS_GAIN
    assert measured_rates(made)["learn"].value == pytest.approx(of_a_core)
    with pytest.raises(BadInput, match="no run has begun here"):
        measured_rates(tmp_path)


def test_it_is_said_in_words_and_as_json(tmp_path, capsys):
    path = tmp_path / "fleet.yaml"
    path.write_text("machines:\n- cores: 2\n")
    command = ["plan", "--config", str(REPOSITORY / "config/presets/hex5.yaml")]
    command += ["--fleet", str(path)]
    assert cli.main(command) == 0
    said = capsys.readouterr().out
    assert "fleet: 1 machine, 2 cores, 0 GPUs\nwall time: " in said
    assert "docs/benchmarks.md, Positions a second: 4×32 on 7×7, by multiply-adds" in said
    assert "1.38 s from the submission of a job to its work: docs/benchmarks.md" in said
    assert cli.main([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)["fleet"]
    assert document["wall_seconds"] == pytest.approx(sum(document["waited_seconds"].values()))
    assert document["bottleneck"] in document["bytes_moved"]
    assert all(rate["source"] for rate in document["rates"])
    assert cli.main(["plan", "--measured", "results/x"]) == 2
    assert "--measured: is of use with --fleet only" in capsys.readouterr().err


def test_thorough_searches_cost_what_they_ask_for():
    def asked(**settings):
        planned = plan(Config(**SMALL, selfplay={"random_openings": 0, **settings}))
        return evaluations(planned.config.selfplay, planned.generations[0])

    usual = asked()
    assert asked(early_stones=9) == usual, "as many simulations as of any other move"
    first, second = (asked(early_simulations=500, early_stones=few) for few in (1, 2))
    assert usual < first < second
    assert asked(search="policy") < asked(search="minimax")
