"""The next checkpoint, as the best of several trainings that differ in some settings."""

import json

import pandas as pd
from snakemake.utils import Paramspace

# A trial is named by its values, `train.learning_rate=0.01,net.blocks=4`.
SPACE = Paramspace(
    pd.DataFrame(CONFIG.trials(), dtype=object).rename(columns=lambda key: key.replace(".", "_")),
    filename_params="*",
    filename_sep=",",
    param_sep="=",
    single_wildcard="trial",
)
TRIALS = dict(zip(SPACE.instance_patterns, CONFIG.trials(), strict=True))


def config_of_trial(wildcards):
    return CONFIG.with_values(TRIALS[wildcards.trial])


def trial_flags(wildcards, input):
    tried = config_of_trial(wildcards)
    net = any(key.startswith("net.") for key in TRIALS[wildcards.trial])
    return " ".join(
        [
            learning_rates(wildcards, tried),
            train_flags(wildcards, input, tried.train),
            options(tried.net, prefix="net-") if net else "",
        ]
    )


def trial_values(wildcards):
    return json.dumps(TRIALS[wildcards.trial])


def trial_outcomes(wildcards):
    gen = generation_of(wildcards)
    return [product(f"train/trials/{trial}/outcome.json", gen) for trial in TRIALS]


rule trial:
    input:
        unpack(training_inputs),
    output:
        outcome=product(f"train/trials/{SPACE.wildcard_pattern}/outcome.json"),
    log:
        log_of(f"train/{SPACE.wildcard_pattern}"),
    benchmark:
        benchmark_of(f"train/{SPACE.wildcard_pattern}")
    wildcard_constraints:
        trial=r"[^/]+",
    priority: 1
    conda:
        "../envs/hexlib.yaml"
    threads: CONFIG.train.processes * CONFIG.train.threads
    resources:
        mem_mb=growing(2000 * CONFIG.train.processes),
        runtime=growing(1440),
        gpu=GPU * CONFIG.train.processes,
        on_corrupt=CONFIG.on_corrupt,
        keep_last=CONFIG.train.keep_last,
        keep_every=CONFIG.train.keep_every,
        training_threads=CONFIG.train.threads,
    params:
        command=TRAIN,
        start=training_start,
        sources=training_sources,
        folder=folder_of_output,
        generation=generation_of,
        flags=trial_flags,
        shared=TRAINING,
        values=trial_values,
        progress=progress_of(f"trials/{SPACE.wildcard_pattern}"),
        code=code_version("hexlib.stages.train"),
    message:
        "Generation {params.generation:03d}, trial {wildcards.trial}"
    shell:
        "{params.command} --source {params.sources:q} {params.start} --output-dir {params.folder:q}"
        " --generation {params.generation} {params.flags} {params.shared} --trial {params.values:q}"
        " --keep-last {resources.keep_last} --keep-every {resources.keep_every}"
        " --threads {resources.training_threads}"
        " --progress-dir {params.progress:q} --keep-progress"
        " --on-corrupt {resources.on_corrupt:q} --log {log:q}"


rule train:
    input:
        trials=trial_outcomes,
    output:
        **training_products(LAST),
        table=product("train/sweep.csv", LAST),
        plot=product("train/sweep.svg", LAST),
    log:
        log_of("train/train", LAST),
    benchmark:
        benchmark_of("train/train", LAST)
    conda:
        "../envs/hexlib.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(240),
        gpu=GPU if CONFIG.train.sweep_by == "match" else 0,
        batch_size=CONFIG.evaluate.batch_size,
    params:
        trials=lambda wildcards, input: [str(Path(path).parent) for path in input.trials],
        folder=folder_of_output,
        generation=generation_of,
        flags=f"--by {CONFIG.train.sweep_by} {SEED}"
        f" {options(CONFIG.evaluate, UNMATCHED) if CONFIG.train.sweep_by == 'match' else ''} {INFERENCE}",
        spent=progress_of("trials", LAST),
        code=code_version("hexlib.stages.train.sweep"),
    message:
        "Generation {params.generation:03d}, the best of the trials"
    shell:
        "rm -rf -- {params.spent:q} && hexlib sweep {params.trials:q} --output-dir {params.folder:q}"
        " {params.flags} --batch-size {resources.batch_size} --log {log:q}"


use rule train as train_past with:
    output:
        **training_products(),
        table=product("train/sweep.csv"),
        plot=product("train/sweep.svg"),
    log:
        log_of("train/train"),
    benchmark:
        benchmark_of("train/train")
    wildcard_constraints:
        gen=PAST,
    params:
        spent=progress_of("trials"),
