# Named targets: the phases of the studies in `reproduce`, and every study by its name.


localrules:
    all,
    data,
    corruptions,
    train,
    evaluate,
    tables,
    figures,


rule data:
    input:
        datasets(PARAMS.reproduce),


rule corruptions:
    input:
        corrupted_sets(PARAMS.reproduce),


rule train:
    input:
        records(PARAMS.reproduce),


rule evaluate:
    input:
        evaluations(PARAMS.reproduce),


rule tables:
    input:
        expand("results/{study}/{file}", study=PARAMS.reproduce, file=TABLES),


rule figures:
    input:
        expand("results/{study}/{file}", study=PARAMS.reproduce, file=FIGURE_FILES),


for name in PARAMS.studies:

    rule:
        name:
            name
        input:
            products([name]),
        localrule: True
