"""A whole run with its products in object storage, over a wire that breaks: the same bytes."""

import logging
import shutil
import threading
from pathlib import Path

import pytest
from conftest import TINY, Project
from fraying_wire import FrayingWire
from kill_campaign import products

pytestmark = pytest.mark.slow

BUCKET = "games"
KEYS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}


@pytest.fixture
def wire():
    """A wire to a server of S3 that lives in memory."""
    pytest.importorskip("snakemake_storage_plugin_s3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request
    server.start()
    with FrayingWire(server.get_host_and_port()[1]) as wire:
        threading.Thread(target=wire.serve_forever, daemon=True).start()
        yield wire
        wire.shutdown()
    server.stop()


def download(port: int, folder: Path) -> None:
    """Copy all that the server has to a folder, by the names that it has there."""
    import boto3

    address = f"http://127.0.0.1:{port}"
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    storage = boto3.resource("s3", endpoint_url=address, region_name="us-east-1", **keys)
    for thing in storage.Bucket(BUCKET).objects.all():
        (folder / thing.key).parent.mkdir(parents=True, exist_ok=True)
        storage.Object(BUCKET, thing.key).download_file(folder / thing.key)


def test_products_in_a_bucket_are_those_of_a_folder(wire, new_project, tmp_path):
    command = ("train", "report", "--cores", "2", "--configfile", TINY)
    local, remote = new_project(stand_in=False), new_project(stand_in=False)
    local.run(*command)
    stored = (
        *("--workflow-profile", "profiles/s3", "--default-storage-prefix", f"s3://{BUCKET}"),
        *("--storage-s3-endpoint-url", f"http://127.0.0.1:{wire.port}"),
    )
    done = remote.snakemake(*command, *stored, env=KEYS, timeout=900)
    assert done.returncode == 0, done.stdout
    assert wire.breaks >= 5
    assert f"Made s3://{BUCKET}/results/tiny/gen_001/train/checkpoint.pt" in done.stdout
    assert not list(remote.folder.rglob("*.npz")), "nothing stays behind"

    again = remote.snakemake(*command, *stored, env=KEYS)
    assert "Nothing to be done" in again.stdout, again.stdout

    found = Project(tmp_path, stand_in=False)
    download(wire.target[1], found.folder)
    assert len(list((found.folder / "logs/tiny").rglob("*.log"))) == 31
    # The settings in force stay where Snakemake runs.
    shutil.copy(remote.folder / "results/tiny/config.yaml", found.folder / "results/tiny")
    wanted = products(local)
    assert len(wanted) > 30
    assert products(found) == wanted
