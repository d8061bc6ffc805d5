"""The next checkpoint, from the positions of this generation and the window before it."""

UNSCHEDULED = {"learning_rate", "final_learning_rate", "decay_generations"}


# `snakemake train` needs a rule without wildcards: the last generation's.
rule train:
    input:
        unpack(training_inputs),
    output:
        **training_products(LAST),
    log:
        log_of("train/train", LAST),
    benchmark:
        benchmark_of("train/train", LAST)
    priority: 1
    conda:
        "../envs/hexlib.yaml"
    threads: 1
    resources:
        mem_mb=growing(megabytes(min(POSITIONS * CONFIG.window.generations, 10**8), 100)),
        runtime=growing(1440),
        gpu=GPU,
        on_corrupt=CONFIG.on_corrupt,
    params:
        start=training_start,
        sources=training_sources,
        folder=folder_of_output,
        generation=generation_of,
        rates=learning_rates,
        flags=f"{SEED} {options(CONFIG.train, UNSCHEDULED)}"
        f" {options(CONFIG.window, {'generations', 'asynchronous'}, 'window-')} {INFERENCE}",
        progress=progress_of("train", LAST),
        code=code_version("hexlib.stages.train"),
    message:
        "Generation {params.generation:03d}, train"
    shell:
        "hexlib train --source {params.sources:q} {params.start} --output-dir {params.folder:q}"
        " --generation {params.generation} {params.rates} {params.flags}"
        " --progress-dir {params.progress:q} --keep-progress"
        " --on-corrupt {resources.on_corrupt:q} --log {log:q}"


use rule train as train_past with:
    output:
        **training_products(),
    log:
        log_of("train/train"),
    benchmark:
        benchmark_of("train/train")
    wildcard_constraints:
        gen=PAST,
    params:
        progress=progress_of("train"),
