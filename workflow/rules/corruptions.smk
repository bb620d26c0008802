# The corrupted test set of each dataset, in the published layout: five severities in blocks.


rule corruption:
    input:
        "data/{dataset}/dataset.json",
        "data/{dataset}/test_images.npy",
    output:
        "data/{dataset}-c/{corruption}.npy",
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
        "python -m ews.corruptions generate --data data/{wildcards.dataset} --name {wildcards.corruption}"
        " --profile {params.profile} --seed {params.seed} --workers {threads} --out {output} > {log} 2>&1"


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
        code=fingerprint("ews.corruptions"),
    shell:
        "python -m ews.corruptions labels --data data/{wildcards.dataset} --out {output} > {log} 2>&1"
