"""What the workflow runs, one module a stage: stages meet only through files."""
