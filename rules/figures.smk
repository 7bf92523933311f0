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
}


def figure_input(kind, root):
    """The files of one kind that figures read, and the flags that name them."""
    if kind in FIGURE_TABLES:
        file = FIGURE_TABLES[kind]
        return [file], files_flags(kind, [root + file])
    if kind == "asked":
        tasks = [(task, paths.task(task)) for task in study.config.tasks]
        return holdouts(study.config.tasks), flags("asked", tasks, root)
    if kind == "curves":
        files = [f"{paths.run(*run)}/curve.parquet" for run in study.runs]
        return files, files_flags("curves", [root + paths.results])
    if kind == "images":
        return [paths.pool, *task_manifests], f"--pool {paths.pool} {task_flags}"
    if kind == "scores":
        return score_manifests(study.scales), score_folders(study.scales)
    raise ValueError(f"no figure can read {kind!r}")


def figure_reads(wildcards, root=""):
    """The files that a figure reads, and their flags."""
    reads = registry.figure[wildcards.figure].reads
    found = [figure_input(kind, root) for kind in reads]
    return [f for files, _ in found for f in files], " ".join(told for _, told in found)


def figure_root(wildcards, found):
    """What stands before the study's paths in a figure's job, one of whose files was found."""
    return storage_root(found, str(figure_reads(wildcards)[0][0]))


rule figure:
    input:
        lambda w: figure_reads(w)[0],
    output:
        pdf=f"{paths.figure()}.pdf",
        svg=report(
            f"{paths.figure()}.svg",
            caption="../workflow/report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        csv=f"{paths.figure()}.csv",
    log:
        paths.log("figure/{figure}"),
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.reading()),
    params:
        spec=lambda w: study.spec("figure", w.figure),
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
        " --spec {params.spec:q} --out {params.stem:q}"
