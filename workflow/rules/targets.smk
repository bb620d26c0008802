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
        contact_sheets(PARAMS.reproduce),


rule train:
    input:
        records(PARAMS.reproduce),


rule evaluate:
    input:
        evaluations(PARAMS.reproduce),


rule tables:
    input:
        # Tables and figures are committed: in a fresh clone they are there, and only what stands behind them is missing.
        evaluations(PARAMS.reproduce),
        expand("results/{study}/{file}", study=PARAMS.reproduce, file=TABLES),


rule figures:
    input:
        evaluations(PARAMS.reproduce),
        expand("results/{study}/{file}", study=PARAMS.reproduce, file=FIGURE_FILES),
        contact_sheets(PARAMS.reproduce),


for name in PARAMS.studies:

    rule:
        name:
            name
        input:
            evaluations([name]),
            products([name]),
            contact_sheets([name]),
        localrule: True
