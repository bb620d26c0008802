# Raw archives -> one memory-mappable format per dataset.


rule dataset:
    output:
        expand("data/{{dataset}}/{file}", file=DATA_FILES),
    log:
        "logs/data/{dataset}.log",
    benchmark:
        "logs/data/{dataset}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        source=source_of,
        content=source_digest,
        validation=validation_of,
        code=data_code,
    shell:
        "python -m ews data prepare --dataset {wildcards.dataset} --source {params.source} --validation {params.validation}"
        " --manifest data/sources.yaml --fingerprint {params.code} --out data/{wildcards.dataset} > {log} 2>&1"


# Only for methods that need them; the file behind them has to be fetched by hand (docs/adversarial.md).
rule extra_images:
    input:
        "data/{dataset}/dataset.json",
        "data/{dataset}/test_images.npy",
        extra_source,
    output:
        expand("data/{{dataset}}-extra/{file}", file=EXTRA_FILES),
    log:
        "logs/data/{dataset}-extra.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        options=extra_options,
        code=fingerprint("ews.data.convert"),
    shell:
        "python -m ews data extra --data data/{wildcards.dataset} {params.options}"
        " --fingerprint {params.code} > {log} 2>&1"
