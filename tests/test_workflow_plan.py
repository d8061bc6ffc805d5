"""What Snakemake plans, run by a stand-in for `hexlib` that only makes the files."""

import json
import re

import pytest
from conftest import REPOSITORY, TINY, Project

from hexlib.config import read_config

PRESETS = sorted((REPOSITORY / "config/presets").iterdir())
EVALUATIONS = ["evaluate_match", "evaluate_pool", "evaluate_solved", "evaluate"]
SHARED = ["shuffle_summary", "train", *EVALUATIONS, "report"]
FROM_PROCESS = ["process", "scatter", "shuffle", *SHARED, "all"]
FROM_CLEAN = ["clean", *FROM_PROCESS]
FROM_SELFPLAY = ["selfplay", *FROM_CLEAN]


@pytest.fixture(scope="module")
def project(new_project) -> Project:
    """A project without results."""
    return new_project()


@pytest.fixture(scope="module")
def finished(new_project) -> Project:
    """A project whose two generations have been made, of which the second could be made again."""
    project = new_project()
    project.run("--configfile", TINY)
    project.write("last.yaml", "generations: {first: 1}")
    return project


def replanned(project: Project, *changes: str) -> dict[str, int]:
    """What is planned once settings have changed, with the last generation left to make."""
    return project.plan("--configfile", TINY, "last.yaml", "--config", "seed=0", *changes)


def test_a_dry_run_shows_the_whole_plan(project):
    assert project.plan("--configfile", TINY) == {
        "initial": 1,
        "selfplay_past": 2,
        "clean_past": 1,
        "process_past": 2,
        "scatter_past": 2,
        "shuffle_past": 3,
        "shuffle_summary_past": 1,
        "train_past": 1,
        "selfplay": 2,
        "clean": 1,
        "process": 2,
        "scatter": 2,
        "shuffle": 3,
        "shuffle_summary": 1,
        "train": 1,
        "evaluate_match": 2,
        "evaluate_pool": 2,
        "evaluate_solved": 2,
        "evaluate": 1,
        "report": 1,
        "all": 1,
    }
    assert not project.files("results")


def test_train_is_a_target_without_evaluation(project):
    jobs = project.plan("train", "--configfile", TINY)
    assert jobs["train"] == jobs["train_past"] == 1
    assert not {"evaluate", "evaluate_match", "report", "all"} & set(jobs)


def test_a_gatekeeper_stands_between_a_generation_and_the_next_selfplay(new_project):
    project = new_project()
    settings = ("--configfile", TINY, project.write("gate.yaml", "evaluate: {gate: true}"))
    jobs = project.plan("train", *settings)
    assert (jobs["evaluate_match"], jobs["evaluate_gate"]) == (1, 1)
    project.run(*settings)
    run = project.folder / "results/tiny"
    played = (run / "gen_001/selfplay/shard_0000.trmph").read_text()
    assert "--checkpoint results/tiny/gen_000/evaluate/champion.pt " in played
    trained = (run / "gen_001/train/checkpoint.pt").read_text()
    assert "--checkpoint results/tiny/gen_000/train/checkpoint.pt " in trained
    match = (project.folder / "logs/tiny/gen_001/evaluate/match.log").read_text()
    assert "--b results/tiny/gen_000/evaluate/champion.pt " in match
    # A different number of games may choose another one, and so plays all that follows again.
    jobs = project.plan("train", *settings, "--config", "evaluate={games: 10}")
    assert {"evaluate_match", "evaluate_gate", "selfplay", "train"} <= set(jobs)
    assert not {"selfplay_past", "train_past"} & set(jobs)


CURRICULUM = "curriculum: [{board_size: 3, generations: 2}, {board_size: 4, generations: 1}]\n"


def said(project, path):
    """What the stand-in was told when it made a file of the run."""
    return (project.folder / "results/tiny" / path).read_text()


def test_a_curriculum_goes_from_board_to_board(new_project):
    project = new_project()
    settings = (
        "--configfile",
        TINY,
        project.write("c.yaml", f"{CURRICULUM}generations: {{count: 5}}"),
    )
    project.run(*settings)
    assert "--board-size 3 " in said(project, "initial.pt")
    for gen, size in enumerate([3, 3, 4, 5, 5]):
        folder = f"gen_{gen:03d}"
        for path in ("selfplay/shard_0001.trmph", "clean/chunk_0000.trmph"):
            assert f"--board-size {size} " in said(project, f"{folder}/{path}"), (gen, path)
        # Networks learn from the window on their own board, a little from the last generation on
        # each board before, and go on from the network before.
        trained = said(project, f"{folder}/train/checkpoint.pt")
        sources = trained.partition("--source ")[2].partition(" --checkpoint")[0].split()
        first = [0, 0, 2, 3, 3][gen]
        assert sources == [f"results/tiny/gen_{g:03d}/shuffle" for g in range(first, gen + 1)]
        told = [json.loads(word) for word in trained.split() if word.startswith('{"path"')]
        beside = [(1, 3)] * (gen >= 2) + [(2, 4)] * (gen >= 3)
        assert [(one["path"], one["weight"], one["board_size"]) for one in told] == [
            (f"results/tiny/gen_{g:03d}/shuffle", 0.1, n) for g, n in beside
        ]
        if gen:
            assert f"--checkpoint results/tiny/gen_{gen - 1:03d}/train/checkpoint.pt " in trained
    assert "--earlier --output" in said(project, "gen_003/evaluate/pool.json")
    assert "--earlier --output" in said(project, "gen_004/evaluate/pool.json")
    ladder = said(project, "ladder.csv")
    assert "gen_003/evaluate/match.json" in ladder
    assert "gen_002/evaluate" not in ladder
    assert project.plan(*settings) == {}


def test_a_curriculum_that_changes_late_keeps_what_was_made_before(new_project):
    project = new_project()
    base = ("--configfile", TINY)
    project.run("train", *base, project.write("c.yaml", f"{CURRICULUM}generations: {{count: 4}}"))
    # Two generations on 4×4 in place of one: all from generation 3 on is new, and nothing before.
    longer = CURRICULUM.replace("generations: 1", "generations: 2")
    jobs = project.plan(
        "train", *base, project.write("d.yaml", f"{longer}generations: {{count: 5}}")
    )
    assert (jobs["selfplay_past"], jobs["train_past"]) == (2, 1)  # generation 3's two shards
    assert (jobs["selfplay"], jobs["train"]) == (2, 1)


def test_the_pool_offers_generations_two_four_and_eight_before(new_project):
    project = new_project()
    overlay = project.write("long.yaml", "generations: {count: 6}")
    project.run("evaluate", "--configfile", TINY, overlay)
    for gen, earlier in [(1, []), (2, [0]), (5, [1, 3])]:
        said = (project.folder / f"results/tiny/gen_{gen:03d}/evaluate/pool.json").read_text()
        paths = said.partition("--earlier ")[2].partition("--output")[0].split()
        assert paths == [f"results/tiny/gen_{one:03d}/train/checkpoint.pt" for one in earlier]


@pytest.mark.parametrize("target", ["evaluate", "report"])
def test_the_last_stages_are_targets(project, target):
    jobs = project.plan(target, "--configfile", TINY)
    assert jobs[target] == 1
    assert "all" not in jobs


def test_a_second_run_has_nothing_to_do(finished):
    for targets in (["train"], ["train", "report"], []):
        result = finished.snakemake("--cores", "2", *targets, "--configfile", TINY)
        assert result.returncode == 0
        assert "Nothing to be done" in result.stdout


def test_a_run_keeps_products_and_drops_what_is_between(finished):
    files = finished.files("results/tiny/gen_000")
    assert {path.removeprefix("results/tiny/gen_000/") for path in files} == {
        *(f"selfplay/shard_000{n}.{kind}" for n in range(2) for kind in ("trmph", "search.npz")),
        *(f"clean/chunk_000{n}.{kind}" for n in range(2) for kind in ("trmph", "search.npz")),
        "clean/summary.json",
        "clean/rejected.tsv",
        *(f"shuffle/bucket_000{n}.npz" for n in range(3)),
        "shuffle/summary.json",
        *("train/checkpoint.pt", "train/state.pt", "train/lineage.json"),
        *("train/metrics.csv", "train/calibration.csv"),
        "evaluate/match.json",
        "evaluate/pool.json",
        "evaluate/solved.json",
    }
    assert finished.files("logs/tiny/gen_001/train") == {"logs/tiny/gen_001/train/train.log"}
    assert "results/tiny/benchmarks/gen_001/train/train.tsv" in finished.files("results")


def test_the_settings_in_force_are_written(finished):
    assert read_config(finished.folder / "results/tiny/config.yaml") == read_config(
        REPOSITORY / TINY
    )


def test_a_new_learning_rate_trains_again_and_nothing_before(finished):
    jobs = replanned(finished, "train={learning_rate: 0.003}")
    assert jobs == dict.fromkeys([*SHARED[1:], "all"], 1)


def test_other_positions_are_processed_again_and_nothing_before(finished):
    jobs = replanned(finished, "process={positions: final}")
    assert list(jobs) == FROM_PROCESS
    assert (jobs["process"], jobs["scatter"], jobs["shuffle"], jobs["train"]) == (2, 2, 3, 1)


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ("clean={merge_symmetric: false}", FROM_CLEAN),
        ("selfplay={temperature: 0.5}", FROM_SELFPLAY),
        ("inference={precision: float32}", FROM_SELFPLAY),
        ("shuffle={buckets: 4}", FROM_PROCESS),
        ("shuffle={buckets: 2}", FROM_PROCESS),
        ("window={generations: 1}", [*SHARED[1:], "all"]),
        ("evaluate={simulations: 5}", [*SHARED[2:], "all"]),
    ],
)
def test_a_change_is_made_again_from_its_stage_on(finished, change, rules):
    assert list(replanned(finished, change)) == rules


@pytest.mark.parametrize(
    "change",
    [
        "selfplay={batch_size: 3, cache_size: 0, accept_partial: true}",
        "evaluate={batch_size: 3}",
        "train={keep_last: 5, keep_every: 2, threads: 2}",
        "on_corrupt=skip",
        "keep_intermediate=true",
        "net={channels: 16}",
        "generations={first: 1}",
    ],
)
def test_what_does_not_alter_the_products_plans_nothing(finished, change):
    assert replanned(finished, change) == {}


def test_a_comment_in_the_code_plans_nothing_and_a_statement_its_stages(finished, tmp_path):
    project = finished.copy(tmp_path / "copy")
    for path in (project.folder / "hexlib").rglob("*.py"):
        path.write_text(f"# A comment.\n{path.read_text()}\n# Another.\n")
    assert replanned(project) == {}
    process = project.folder / "hexlib/stages/process.py"
    process.write_text(process.read_text() + "\nNEW = 1\n")
    assert list(replanned(project)) == FROM_PROCESS


def test_earlier_generations_are_never_made_again(finished, tmp_path):
    project = finished.copy(tmp_path / "copy")
    (project.folder / "results/tiny/gen_000/selfplay/shard_0000.trmph").unlink()
    assert replanned(project) == {}
    (project.folder / "results/tiny/gen_000/train/checkpoint.pt").unlink()
    result = project.snakemake("-n", "--configfile", TINY, "last.yaml")
    assert result.returncode == 2
    assert "gen_000/train/checkpoint.pt: no such file" in result.stdout.splitlines()[-1]


@pytest.mark.parametrize("generations", [1, 3])
def test_until_shuffle_stops_before_the_last_training(new_project, generations):
    project = new_project()
    project.run(
        *("--until", "shuffle", "train", "--configfile", TINY),
        *("--config", f"generations={{count: {generations}}}"),
    )
    last = f"results/tiny/gen_{generations - 1:03d}"
    assert {f"{last}/shuffle/bucket_000{bucket}.npz" for bucket in range(3)} <= project.files()
    assert not project.files(f"{last}/train")
    for past in range(generations - 1):
        assert f"results/tiny/gen_{past:03d}/train/checkpoint.pt" in project.files()


def test_asynchronous_generations_play_while_the_one_before_trains(new_project):
    """The games of a generation come from the checkpoint before last, on any number of cores."""
    asynchronous = ("--configfile", TINY, "--config", "window={async: true}")
    three = "generations={count: 3}"
    made = []
    for cores in ("1", "4"):
        project = new_project()
        assert project.plan(
            "results/tiny/gen_001/selfplay/shard_0000.trmph", *asynchronous, three
        ) == {"initial": 1, "selfplay_past": 1}
        project.run("train", "--cores", cores, *asynchronous, three)
        run = project.folder / "results/tiny"
        for gen, checkpoint in enumerate(
            ("initial.pt", "initial.pt", "gen_000/train/checkpoint.pt")
        ):
            command = (run / f"gen_00{gen}/selfplay/shard_0001.trmph").read_text()
            assert f"--checkpoint results/tiny/{checkpoint} " in command
        assert (
            "--checkpoint results/tiny/gen_001/train/checkpoint.pt "
            in (run / "gen_002/train/metrics.csv").read_text()
        )
        made.append({path.relative_to(run): path.read_bytes() for path in run.glob("gen_*/**/*.*")})
    assert made[0] == made[1]
    assert read_config(run / "config.yaml").window.asynchronous

    # The last generation alone needs both checkpoints.
    project.write("last.yaml", "generations: {first: 2}")
    last = ("--configfile", TINY, "last.yaml", *asynchronous[2:], three)
    assert project.plan("train", *last) == {}
    (run / "gen_000/train/checkpoint.pt").unlink()
    refused = project.snakemake("-n", "train", *last)
    assert refused.returncode == 2
    assert "gen_000/train/checkpoint.pt: no such file, and generations.first" in refused.stdout


def test_one_file_needs_only_what_comes_before_it(project):
    target = "results/tiny/gen_000/process/chunk_0001.npz"
    assert project.plan(target, "--configfile", TINY) == {
        "initial": 1,
        "selfplay_past": 2,
        "clean_past": 1,
        "process_past": 1,
    }


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_presets_can_be_planned(project, preset):
    jobs = project.plan("train", "--configfile", str(preset))
    count = read_config(preset).generations.count
    assert jobs["train"] + jobs.get("train_past", 0) == count


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "selfplay:\n  games: 10\n  shrads: 2\n",
            "bad.yaml:3: unknown key selfplay.shrads; did you mean selfplay.shards?",
        ),
        (
            "selfplay: {search: minimax, widths: [13, 50]}\n",
            "bad.yaml:1: selfplay.widths: [13, 50] do not fit a 7×7 board: give one to 49 moves"
            " for each level",
        ),
        (
            "initial_checkpoint: models/none.pt",
            "models/none.pt: no such file, and initial_checkpoint needs it; put it there or change"
            " initial_checkpoint",
        ),
        (
            "generations: {count: 1}\nselfplay: {existing: [nowhere]}",
            "nowhere: no such file or folder of games; correct the path",
        ),
        (
            "generations: {count: 1}\nselfplay: {existing: [rules]}",
            "rules: no game file (*.trmph, *.trmph.gz, *.trmph.zst, *.txt, *.txt.gz, *.txt.zst) in"
            " this folder; name another",
        ),
    ],
)
def test_bad_settings_end_in_one_line_before_any_job(project, text, line):
    bad = project.write("bad.yaml", text)
    result = project.snakemake("--cores", "1", "train", "--configfile", bad)
    said = [one for one in result.stdout.splitlines() if not one.startswith(("Using", "Config"))]
    assert said == [line]
    assert result.returncode == 2
    assert not project.files("results")


def test_settings_are_checked_as_soon_as_snakemake_has_started(project):
    bad = project.write("bad.yaml", "sede: 1")

    def imported(code, *options):
        done = project.snakemake(*options, env={"PYTHONPROFILEIMPORTTIME": "1"})
        assert done.returncode == code
        return re.findall(r"^import time:.*\| ( *)(\S+)$", done.stdout, re.M)

    lines = imported(2, "-n", "--configfile", bad)
    added = {name for _, name in lines} - {name for _, name in imported(0, "--version")}
    # What time that takes is the machine's: it is short since nothing that takes long is imported,
    # neither a library nor one of hexlib's packages, such as its stages and its networks.
    assert "hexlib.run_config" in added
    assert not {"torch", "numba", "scipy", "matplotlib"} & added
    assert all(name.count(".") < 2 for name in added if name.startswith("hexlib."))
    # Few of any kind, of those that hexlib's modules import: they are told before what imports
    # them, further to the right. What Snakemake imports depends on which plugins are installed.
    ours, inside = set(), None
    for indent, name in reversed(lines):
        if inside is None or len(indent) <= inside:
            inside = len(indent) if name.startswith("hexlib") else None
        if inside is not None:
            ours.add(name)
    assert len(ours & added) < 100
    assert "hexlib.settings" in ours


def test_existing_games_take_the_place_of_selfplay(new_project):
    project = new_project()
    record = "#5,a1b2c3 b\n"
    project.write("games/deep/er/one.trmph", "# a comment\n" + 30 * record)
    project.write("games/two.txt", 30 * record + "\n")
    project.write(
        "existing.yaml", "generations: {count: 1}\nselfplay: {existing: [games]}\nrun: given"
    )
    before = project.files("games")
    settings = ("--configfile", TINY, "existing.yaml")
    jobs = project.plan(*settings)
    assert not {"selfplay", "selfplay_past"} & set(jobs)
    assert jobs["process"] == 3  # 60 games in chunks of 20
    project.run(*settings)
    assert "results/given/gen_000/train/checkpoint.pt" in project.files()
    assert project.files("games") == before
    assert (
        "games --output-dir" in (project.folder / "logs/given/gen_000/clean/clean.log").read_text()
    )


def test_paths_with_blanks_and_quotes_are_safe(new_project):
    project = new_project()
    project.write("odd.yaml", """results_dir: "odd results/it's $HOME; #1/"\n""")
    project.run("--configfile", TINY, "odd.yaml")
    made = project.files("odd results/it's $HOME; #1/tiny")
    assert any(path.endswith("report/index.html") for path in made)


def test_intermediate_files_can_be_kept(new_project):
    project = new_project()
    project.run(
        *("train", "--configfile", TINY),
        *("--config", "keep_intermediate=true", "generations={count: 1}"),
    )
    assert "results/tiny/gen_000/process/chunk_0000.npz" in project.files()
    assert "results/tiny/gen_000/shuffle/scattered/chunk_0001/parts.npz" in project.files()


def test_a_run_ends_by_saying_what_it_made(new_project):
    project = new_project()
    settings = ("--configfile", TINY, "--config", "generations={count: 1}")
    said = project.run("train", *settings)
    assert "Made results/tiny/gen_000/train/checkpoint.pt" in said
    assert "`snakemake --cores 2 report` makes it" in said
    said = project.run("report", *settings)
    assert "won 5 of 8 games" in said
    assert "Report: results/tiny/report/index.html" in said


def test_games_beside_the_runs_own_become_buckets_of_a_source(new_project):
    project = new_project()
    project.write("old games/deep/a.trmph", "#5,a1b2 b\n")
    project.write("old games/b.txt", "#5,a1b2 b\n")
    overlay = project.write("beside.yaml", "train: {sources: [{path: old games}]}")
    settings = ("train", "--configfile", TINY, overlay)
    jobs = project.plan(*settings)
    made = {name: jobs[f"source_{name}"] for name in ("clean", "process", "scatter", "shuffle")}
    assert made == {"clean": 1, "process": 1, "scatter": 1, "shuffle": 3}
    project.run(*settings)
    (folder,) = (project.folder / "results/tiny/sources").iterdir()
    cleaned = (folder / "clean/rejected.tsv").read_text()
    assert cleaned.startswith("clean old games/b.txt old games/deep/a.trmph --output-dir ")
    assert "--board-size 5 --chunks 1 " in cleaned
    trained = (project.folder / "results/tiny/gen_001/train/checkpoint.pt").read_text()
    assert f"results/tiny/sources/{folder.name}/shuffle" in trained
    assert not (folder / "scattered").exists(), "what is between is dropped"
    assert project.plan(*settings) == {}


def test_every_rule_says_what_it_needs():
    wanted = ("output", "log", "benchmark", "params", "threads", "resources", "conda", "message")
    count = 0
    for path in sorted((REPOSITORY / "rules").glob("*.smk")):
        for name, body in re.findall(r"^rule (\w+):\n((?:    .*\n|\n)*)", path.read_text(), re.M):
            directives = re.findall(r"^    (\w+):", body, re.M)
            assert set(wanted) <= set(directives), f"{path.name}: {name}"
            assert "run" not in directives
            resources = body.partition("resources:")[2].partition("conda:")[0]
            assert all(f"{key}=" in resources for key in ("mem_mb", "runtime", "gpu")), name
            assert "code=" in body, name
            count += 1
    # The same commands for games beside the run's own: files, resources and message are theirs.
    sources = (REPOSITORY / "rules/sources.smk").read_text()
    pattern = r"^use rule \w+ as (\w+) with:\n((?:    .*\n|\n)*)"
    for name, body in re.findall(pattern, sources, re.M):
        directives = re.findall(r"^    (\w+):", body, re.M)
        assert {"output", "log", "benchmark", "resources", "message"} <= set(directives), name
        resources = body.partition("resources:")[2]
        assert all(f"{key}=" in resources for key in ("mem_mb", "runtime", "gpu")), name
        count += 1
    assert count == 20
