# Every figure of a study, whoever trained its models, from what it reads.
#
# in:   statistics.parquet  losses.parquet  runs.parquet, and what else a figure names
# out:  {figure}.{pdf,svg,csv}
# steps: draw

FIGURE_TABLES = {
    "statistics": paths.statistics,
    "losses": paths.losses,
    "runs": paths.runs,
    "gains": paths.gains,
    "agreement": paths.compared("agreement"),
    "influence": paths.compared("influence"),
    "proposal": f"{paths.proposal}.json",
}


rule figure:
    """Draw one figure as PDF and SVG, with its numbers as CSV."""
    input:
        lambda w: figure_reads(w)[0],
    output:
        pdf=f"{paths.figure()}.pdf",
        svg=report(
            f"{paths.figure()}.svg",
            caption="../workflow/report/figure.rst",
            category="Figures",
            labels=lambda w: {"figure": title(w.figure)},
        ),
        csv=f"{paths.figure()}.csv",
    log:
        paths.log("figure/{figure}"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        spec=lambda w: words("--spec", study.spec("figure", w.figure)),
        code=lambda w: study.code("figure", w.figure),
        caption=lambda w: registry.figure[w.figure].caption,
        reads=lambda w, input: figure_reads(w, figure_root(w, input[0]))[1],
        drawn_by=lambda w: files_flags(
            "module", study.named_modules("figure", w.figure)
        )
        or plugin_flags("figure", w.figure),
        stem=lambda w, output: output.pdf.removesuffix(".pdf"),
    shell:
        "python -m proxyscale figure --log {log:q} {params.drawn_by} {params.reads}"
        " {params.spec} --out {params.stem:q}"
