# The corrupted test set of each dataset, in the published layout: five severities in blocks.


rule corruption:
    input:
        "data/{dataset}/dataset.json",
        "data/{dataset}/test_images.npy",
    output:
        "data/{dataset}-c/{corruption}.npy",
    wildcard_constraints:
        corruption="(?!labels)[a-z_]+",
    params:
        profile=profile_of,
        seed=corruption_seed_of,
        code=corruption_code,
    log:
        "logs/corruptions/{dataset}/{corruption}.log",
    benchmark:
        "logs/corruptions/{dataset}/{corruption}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
        runtime=120,
    shell:
        "python -m ews.corruptions generate --data data/{wildcards.dataset} --name {wildcards.corruption}"
        " --profile {params.profile} --seed {params.seed} --workers {threads} --out {output} > {log} 2>&1"


rule corruption_labels:
    input:
        "data/{dataset}/dataset.json",
        "data/{dataset}/test_labels.npy",
    output:
        "data/{dataset}-c/labels.npy",
    params:
        code=fingerprint("ews.corruptions"),
    log:
        "logs/corruptions/{dataset}/labels.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m ews.corruptions labels --data data/{wildcards.dataset} --out {output} > {log} 2>&1"
