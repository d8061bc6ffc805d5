"""A whole run with its products in object storage, over a wire that breaks: the same bytes."""

import shutil
import threading

import bucket
import pytest
from conftest import TINY, Project
from fraying_wire import FrayingWire
from kill_campaign import products

pytestmark = pytest.mark.slow


@pytest.fixture
def wire():
    """A wire to a server of S3."""
    with bucket.server() as port, FrayingWire(port) as wire:
        threading.Thread(target=wire.serve_forever, daemon=True).start()
        yield wire
        wire.shutdown()


def test_products_in_a_bucket_are_those_of_a_folder(wire, finished, new_project, tmp_path):
    command = ("train", "report", "--cores", "2", "--configfile", TINY)
    local = finished[0].copy(tmp_path / "local")
    remote = new_project(stand_in=False)
    stored = (
        *("--workflow-profile", "profiles/s3"),
        *("--default-storage-prefix", f"s3://{bucket.NAME}"),
        *("--storage-s3-endpoint-url", f"http://127.0.0.1:{wire.port}"),
    )
    done = remote.snakemake(*command, *stored, env=bucket.KEYS, timeout=900)
    assert done.returncode == 0, done.stdout
    assert wire.breaks >= 5
    assert f"Made s3://{bucket.NAME}/results/tiny/gen_001/train/checkpoint.pt" in done.stdout
    assert not list(remote.folder.rglob("*.npz")), "nothing stays behind"

    again = remote.snakemake(*command, *stored, env=bucket.KEYS)
    assert "Nothing to be done" in again.stdout, again.stdout

    found = Project(tmp_path / "found", stand_in=False)
    bucket.download(wire.target[1], found.folder)
    assert len(list((found.folder / "logs/tiny").rglob("*.log"))) == 33
    # The settings in force stay where Snakemake runs.
    shutil.copy(remote.folder / "results/tiny/config.yaml", found.folder / "results/tiny")
    # Networks of mini-epochs are no outputs: which are kept is not known before.
    wanted = {name: made for name, made in products(local).items() if "/epochs/" not in name}
    assert len(wanted) > 30
    assert products(found) == wanted
