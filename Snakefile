# proxyscale: how well does each small scale foretell the large one?
#
#   snakemake --cores all results/correlation_fig1.pdf     Figure 1 of the default study
#   snakemake --cores all                                  every figure and table
#   snakemake --cores all --configfile mine.yaml           a study of your own
#
# Another workflow takes it as a `module` with its `config`, and calls the module's onstart, onsuccess
# and onerror in its own: the first claims the results.
#
# corpora -> pool -> distributions -> runs -> losses -> statistics -> figures
from snakemake.utils import min_version

min_version("9.27")


include: "rules/common.smk"
include: "rules/resources.smk"
include: "rules/inputs.smk"


for name in study.rules:

    include: f"rules/{name}.smk"


report: "workflow/report/workflow.rst"


onstart:
    try:
        lock.take(study.config.results)
        study.claim_results(write=True)
        check_gpus()
        serve_jobs()
        for told in leave(study.config.results, study.made):
            print(told, file=sys.stderr)
    except UserError as error:
        refuse(error)


onsuccess:
    from proxyscale.reporting.closing_words import ending

    told = ending(study)
    if told and teller:
        told = "\n".join(telling.wrapped(told))
    if told:
        print(f"\n{told}\n", file=sys.stderr)


onerror:
    if teller:
        print("\n".join([*teller.mistakes(), "", *log]), file=sys.stderr)
    if lock.mistaken(study.config.results):
        sys.exit(2)


rule all:
    """Every figure and table, and the report."""
    default_target: True
    input:
        study.products,
