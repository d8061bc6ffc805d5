#!/bin/sh
# Snakemake runs this in the new environment of hexlib.yaml, from the folder of the workflow.
set -e
pip install --require-hashes -r envs/requirements.txt
pip install -r envs/requirements-torch.in
pip install --no-deps --no-build-isolation -e .
