# The corrupted test set of each dataset, in the published layout: five severities in blocks. data/<dataset>-c is made here,
# data/<dataset>-c-official taken from the published archive; both may be there.


rule corruption:
    input:
        "data/{dataset}/dataset.json",
        "data/{dataset}/test_images.npy",
    output:
        images="data/{dataset}-c/{corruption}.npy",
        about="data/{dataset}-c/{corruption}.json",
    log:
        "logs/corruptions/{dataset}/{corruption}.log",
    benchmark:
        "logs/corruptions/{dataset}/{corruption}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        profile=planned(data.profile, "dataset"),
        seed=planned(data.seed, "dataset"),
        code=planned(data.corruption_code, "corruption"),
    shell:
        commands.rule(
            commands.managed(
                commands.corrupt(
                    data="data/{wildcards.dataset}",
                    name="{wildcards.corruption}",
                    profile="{params.profile}",
                    seed="{params.seed}",
                    code="{params.code}",
                    out="{output.images}",
                    workers="{threads}",
                )
            )
        )


rule corruption_labels:
    input:
        "data/{dataset}/dataset.json",
        "data/{dataset}/test_labels.npy",
    output:
        "data/{dataset}-c/labels.npy",
    log:
        "logs/corruptions/{dataset}/labels.log",
    conda:
        ENVIRONMENT
    params:
        code=planned(data.labels_code),
    shell:
        commands.rule(commands.corrupted_labels(data="data/{wildcards.dataset}", out="{output}"))


rule official_corruption:
    input:
        "data/{dataset}/dataset.json",
        "data/{dataset}/test_labels.npy",
    output:
        images="data/{dataset}-c-official/{corruption}.npy",
        about="data/{dataset}-c-official/{corruption}.json",
    log:
        "logs/corruptions/{dataset}-official/{corruption}.log",
    benchmark:
        "logs/corruptions/{dataset}-official/{corruption}.tsv"
    wildcard_constraints:
        corruption="[a-z_]+",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        source=planned(data.official_source, "dataset"),
        content=planned(data.official_content, "dataset", "corruption"),
        code=planned(data.official_code),
    shell:
        commands.rule(
            commands.managed(
                commands.official(
                    data="data/{wildcards.dataset}",
                    source="{params.source}",
                    name="{wildcards.corruption}",
                    code="{params.code}",
                    out="{output.images}",
                )
            )
        )


rule contact_sheet:
    input:
        "data/{dataset}/dataset.json",
        "data/{dataset}/test_images.npy",
        stored=planned(data.shown_files, "dataset", "official"),
    output:
        report(
            "results/{dataset}-c{official}/contact-sheet.png",
            caption="../report/contact-sheet.rst",
            category="corruptions",
            labels={"dataset": "{dataset}{official}"},
        ),
    log:
        "logs/corruptions/{dataset}{official}/contact-sheet.log",
    conda:
        ENVIRONMENT
    params:
        stored=planned(data.shown, "dataset", "official"),
        profile=planned(data.profile, "dataset"),
        seed=planned(data.seed, "dataset"),
        code=planned(data.sheet_code),
    shell:
        commands.rule(
            commands.sheet(
                data="data/{wildcards.dataset}",
                corrupted="data/{wildcards.dataset}-c{wildcards.official}",
                stored="{params.stored}",
                profile="{params.profile}",
                seed="{params.seed}",
                out="{output}",
            )
        )
