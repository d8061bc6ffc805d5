"""One page that shows how the run went."""

from hexlib import pages


rule report:
    input:
        ladder=rules.evaluate.output.ladder,
        matches=rules.evaluate.input.matches,
        solved=rules.evaluate.input.solved,
        lineages=in_all_generations("train/lineage.json"),
        shuffles=in_all_generations("shuffle/summary.json"),
        metrics=in_all_generations("train/metrics.csv"),
        summaries=in_all_generations("clean/summary.json"),
        games=expand(product("clean/chunk_{chunk}.trmph", LAST), chunk=CHUNKS),
        samples=in_all_generations("shuffle/bucket_0000.npz"),
        checkpoint=product("train/checkpoint.pt", LAST),
        search=expand(product("clean/chunk_{chunk}.search.npz", LAST), chunk=CHUNKS),
    output:
        page=report(f"{RUN}/report/index.html", caption="captions/report.rst", category="Run"),
    log:
        f"logs/{CONFIG.run}/report.log",
    benchmark:
        f"{RUN}/benchmarks/report.tsv"
    conda:
        "../envs/hexlib.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
        gpu=0,
    params:
        run=lambda wildcards, output: str(Path(output.page).parents[1]),
        logs=f"logs/{CONFIG.run}",
        code=code_version("hexlib.stages.report"),
        pages=pages.version(),
    message:
        "Report"
    shell:
        "hexlib report {params.run:q} --logs {params.logs:q} --output {output.page:q} --log {log:q}"
