# Raw archives -> one memory-mappable format per dataset.


rule dataset:
    output:
        expand("data/{{dataset}}/{file}", file=paths.DATA_FILES),
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
        source=planned(data.source, "dataset"),
        content=planned(data.content, "dataset"),
        validation=planned(data.validation, "dataset"),
        code=planned(data.code, "dataset"),
    shell:
        commands.rule(
            commands.prepare(
                dataset="{wildcards.dataset}",
                source="{params.source}",
                validation="{params.validation}",
                code="{params.code}",
                out="data/{wildcards.dataset}",
            )
        )


# Only for methods that need them; the file behind them has to be fetched by hand (docs/adversarial.md).
rule extra_images:
    input:
        "data/{dataset}/dataset.json",
        "data/{dataset}/test_images.npy",
        extra_source,
    output:
        expand("data/{{dataset}}-extra/{file}", file=paths.EXTRA_FILES),
    log:
        "logs/data/{dataset}-extra.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        options=planned(data.extra_options, "dataset"),
        code=planned(data.extra_code),
    shell:
        commands.rule(commands.extra(data="data/{wildcards.dataset}", asked=["{params.options}"], code="{params.code}"))
