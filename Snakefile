# proxyscale: how well does each small scale foretell the large one?
#
#   snakemake --cores all results/correlation_fig1.pdf     Figure 1 of the default study
#   snakemake --cores all                                  every figure and table
#   snakemake --cores all --configfile mine.yaml           a study of your own
#
# corpora -> pool -> distributions -> runs -> losses -> statistics -> figures
from snakemake.utils import min_version

min_version("9.27")


include: "rules/common.smk"


# With a key `runs`, somebody else has trained the models: only their losses are read.
if isinstance(study, OwnRunsStudy):

    include: "rules/own.smk"
    include: "rules/report.smk"

elif isinstance(study, ImageStudy):

    include: "rules/vision.smk"

else:

    include: "rules/data.smk"
    include: "rules/select.smk"
    include: "rules/attribute.smk"
    include: "rules/train.smk"
    include: "rules/collect.smk"
    include: "rules/report.smk"


if "selection_fig8" in study.figures:

    include: "rules/selection.smk"


report: "workflow/report/workflow.rst"


onstart:
    try:
        lock.take(study.config.results)
    except UserError as error:
        refuse(error)
    study.claim_results(write=True)


onsuccess:
    from proxyscale.cli.closing_words import ending

    told = ending(study)
    if told:
        print(f"\n{told}\n", file=sys.stderr)


rule all:
    default_target: True
    input:
        figure_files(),
        [paths.table(name) for name in study.tables],
        paths.statistics,
        [] if isinstance(study, ImageStudy) else paths.report,
