"""The plan of a hundred machines stays one that Snakemake can make."""

import pytest
from conftest import REPOSITORY

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("profile", ["default", "slurm"])
def test_ten_million_games_a_generation_are_planned_in_a_minute(profile, monkeypatch):
    """Processor time, and that on a busy machine: the three generations of the preset."""
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    if profile == "slurm":
        pytest.importorskip("snakemake_executor_plugin_slurm")
    import scale

    options = {"default": [], "slurm": scale.UNGROUPED}[profile]
    jobs, seconds, megabytes = scale.dry_run(3, options)
    assert jobs > 2400
    assert seconds < 60
    assert megabytes < 2000
