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
    wildcard_constraints:
        corruption="(?!labels)[a-z_]+",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        profile=profile_of,
        seed=corruption_seed_of,
        code=corruption_code,
    shell:
        "python -m ews corrupt generate --data data/{wildcards.dataset} --name {wildcards.corruption}"
        " --profile {params.profile} --seed {params.seed} --workers {threads} --fingerprint {params.code}"
        " --out {output.images} > {log} 2>&1"


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
        code=fingerprint("ews.pipeline.corrupt.generate"),
    shell:
        "python -m ews corrupt labels --data data/{wildcards.dataset} --out {output} > {log} 2>&1"


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
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        source=official_source_of,
        content=official_digest,
        code=fingerprint("ews.pipeline.corrupt.official"),
    shell:
        "python -m ews corrupt official --data data/{wildcards.dataset} --source {params.source}"
        " --name {wildcards.corruption} --manifest data/sources.yaml --fingerprint {params.code}"
        " --out {output.images} > {log} 2>&1"


rule contact_sheet:
    input:
        "data/{dataset}/dataset.json",
        "data/{dataset}/test_images.npy",
        stored=shown_sets,
    output:
        report(
            "results/{dataset}-c{official}/contact-sheet.png",
            caption="../report/contact-sheet.rst",
            category="corruptions",
            labels={"dataset": "{dataset}{official}"},
        ),
    log:
        "logs/corruptions/{dataset}{official}/contact-sheet.log",
    wildcard_constraints:
        official="(-official)?",
    conda:
        ENVIRONMENT
    params:
        stored=shown_names,
        profile=profile_of,
        seed=corruption_seed_of,
        code=sheet_code,
    shell:
        "python -m ews corrupt sheet --data data/{wildcards.dataset}"
        " --corrupted data/{wildcards.dataset}-c{wildcards.official} --stored {params.stored}"
        " --profile {params.profile} --seed {params.seed} --out {output} > {log} 2>&1"
