# Snakemake rules: predict a table of expression, compare groups in it, and find gene sets in what differs.
# include: "mtm.smk", and set the configuration as in Snakefile beside this file.


rule mtm_predict:
    input:
        table=lambda wildcards: config["tables"][wildcards.cohort],
    output:
        "{cohort}/predicted.{format}",
    wildcard_constraints:
        format="csv|parquet|h5ad|h5mu",
    params:
        model=config.get("model", "gtex_v8_acmg59_stack"),
        targets=config.get("targets", "all"),
    log:
        "{cohort}/predicted.{format}.log",
    threads: 2
    shell:
        "OMP_NUM_THREADS={threads} mtm predict {input.table:q} --model {params.model:q}"
        " --targets {params.targets:q} --output {output:q} --overwrite 2> {log:q}"


rule mtm_compare:
    input:
        table=lambda wildcards: config["tables"][wildcards.cohort],
        metadata=lambda wildcards: config["metadata"][wildcards.cohort],
    output:
        "{cohort}/compared/differential_expression.parquet",
    params:
        model=config.get("model", "gtex_v8_acmg59_stack"),
        targets=config.get("targets", "all"),
        groups=config["groups"],
        folder=lambda wildcards: f"{wildcards.cohort}/compared",
    log:
        "{cohort}/compared.log",
    threads: 2
    shell:
        # Snakemake makes the folder of an output; mtm makes its own.
        "rmdir {params.folder:q} && OMP_NUM_THREADS={threads} mtm compare {input.table:q}"
        " --metadata {input.metadata:q} --groups {params.groups:q} --model {params.model:q}"
        " --targets {params.targets:q} --format parquet --output {params.folder:q} 2> {log:q}"


rule mtm_enrich:
    input:
        "{cohort}/compared/differential_expression.parquet",
    output:
        "{cohort}/enriched/summary.csv",
    params:
        folder=lambda wildcards: f"{wildcards.cohort}/enriched",
        sets=config.get("gene_sets", "go_biological_process"),
        least=config.get("min_size", 10),
    log:
        "{cohort}/enriched.log",
    shell:
        "rmdir {params.folder:q} && mtm enrich {input:q} --gene-sets {params.sets:q}"
        " --min-size {params.least} --output {params.folder:q} 2> {log:q} > /dev/null"
