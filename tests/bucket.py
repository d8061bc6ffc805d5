"""A server of S3 in memory, and what is in its one bucket."""

import contextlib
import logging
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

NAME = "games"
KEYS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}


@contextlib.contextmanager
def server() -> Iterator[int]:
    """The port of a server that lives as long as the block; skips where it is not installed."""
    pytest.importorskip("snakemake_storage_plugin_s3")
    served = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request
    served.start()
    port = served.get_host_and_port()[1]
    # What it holds lives in this process, and longer than the server.
    urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/reset", data=b"").close()
    try:
        yield port
    finally:
        served.stop()


def download(port: int, folder: Path) -> None:
    """Copy all that the server has to a folder, by the names that it has there."""
    import boto3

    address = f"http://127.0.0.1:{port}"
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    storage = boto3.resource("s3", endpoint_url=address, region_name="us-east-1", **keys)
    for thing in storage.Bucket(NAME).objects.all():
        (folder / thing.key).parent.mkdir(parents=True, exist_ok=True)
        storage.Object(NAME, thing.key).download_file(folder / thing.key)
