"""Kubernetes without a cluster: manifests by their schema, jobs by a stand-in that runs them."""

import os
import re
import sys
import threading
from pathlib import Path

import bucket
import kubernetes_validate
import pytest
import yaml
from conftest import REPOSITORY, TINY
from pods import Cluster

MANIFESTS = list(yaml.safe_load_all((REPOSITORY / "envs/kubernetes.yaml").read_text()))
NAMESPACE = "hexlib"


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["kind"])
def test_manifests_fit_their_schema(manifest):
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    name = manifest["metadata"].get("namespace", manifest["metadata"]["name"])
    assert name == NAMESPACE


def test_a_manifest_that_does_not_fit_is_found():
    (role,) = (one for one in MANIFESTS if one["kind"] == "Role")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            role | {"rules": [{"verb": ["get"]}]}, kubernetes_validate.latest_version(), strict=True
        )


def test_the_recipe_of_the_container_copies_what_is_there():
    recipe = (REPOSITORY / "envs/Containerfile").read_text().replace("\\\n", " ")
    copied = [
        name for line in re.findall(r"^COPY (.+) \S+$", recipe, re.M) for name in line.split()
    ]
    assert copied
    assert all((REPOSITORY / name).exists() for name in copied)
    instructions = set(re.findall(r"^([A-Z]+) ", recipe, re.M))
    assert instructions == {"FROM", "COPY", "RUN", "ENV", "USER", "WORKDIR"}


@pytest.fixture
def cluster(tmp_path):
    """A stand-in whose image has this repository's library and an idle pip: all is installed."""
    pytest.importorskip("snakemake_executor_plugin_kubernetes")
    (tmp_path / "bin").mkdir()
    pip = tmp_path / "bin/pip"
    pip.write_text("#!/bin/sh\n")
    pip.chmod(0o755)
    search = [pip.parent, Path(sys.executable).parent, os.environ["PATH"]]
    image = {
        "PATH": os.pathsep.join(map(str, search)),
        "PYTHONPATH": str(REPOSITORY),
        "HOME": str(tmp_path),
    }
    with Cluster(image) as cluster:
        threading.Thread(target=cluster.serve_forever, daemon=True).start()
        yield cluster
        cluster.shutdown()


@pytest.mark.slow
def test_the_jobs_of_a_generation_run_from_the_bucket_alone(
    cluster, finished, new_project, tmp_path
):
    """As pods would: what a job needs comes from the storage, and what it makes goes there."""
    local, remote = finished[0], new_project(stand_in=False)
    target = "results/tiny/gen_000/train/checkpoint.pt"
    with bucket.server() as port:
        done = remote.snakemake(
            *(target, "--configfile", TINY, "--workflow-profile", "profiles/kubernetes"),
            *("--container-image", "registry/hexlib:1", "--seconds-between-status-checks", "1"),
            *("--default-storage-prefix", f"s3://{bucket.NAME}"),
            *("--set-resources", "train_past:gpu=1", "--retries", "0"),
            env={
                "KUBECONFIG": str(cluster.kubeconfig(tmp_path / "kubeconfig")),
                "SNAKEMAKE_STORAGE_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                "SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "any",
                "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "any",
            },
            timeout=900,
        )
        assert done.returncode == 0, done.stdout + "\n".join(cluster.said.values())
        bucket.download(port, tmp_path / "found")

    # Two shards, the cleaning, a group of positions, one of buckets, the summary, the training.
    assert len(cluster.jobs) == 7
    gpus, image = [], set()
    for job in cluster.jobs.values():
        whole = {"apiVersion": "batch/v1", "kind": "Job", **job}
        del whole["status"]
        kubernetes_validate.validate(whole, kubernetes_validate.latest_version(), strict=True)
        (container,) = job["spec"]["template"]["spec"]["containers"]
        gpus.append(container["resources"]["limits"]["nvidia.com/gpu"])
        image.add(container["image"])
        assert container["resources"]["limits"]["memory"]
        assert "any" not in str(container["env"])
    assert sorted(gpus) == ["0"] * 6 + ["1"]
    assert image == {"registry/hexlib:1"}

    made = {path.relative_to(tmp_path / "found") for path in (tmp_path / "found").rglob("*.*")}
    wanted = [
        path.relative_to(local.folder)
        for path in (local.folder / "results/tiny/gen_000").rglob("*.*")
        # Which networks of mini-epochs are kept is not known before, and none is evaluated.
        if path.parent.name not in ("epochs", "evaluate")
    ]
    assert len(wanted) > 15
    for path in wanted:
        assert path in made
        assert (tmp_path / "found" / path).read_bytes() == (local.folder / path).read_bytes(), path
