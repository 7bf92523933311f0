# From images to the pool and the tasks.
#
# in:   the sources and tasks of the config
# out:  corpora/{source}  pool/  tasks/{task}
# steps: read and split images | choose the pool | choose test images


rule image_corpus:
    """Read a source's images and split them."""
    output:
        manifest(paths.corpus()),
        [inside(paths.corpus(), name) for name in rows],
    log:
        paths.log("corpus/{source}"),
    priority: 1_000_000
    conda:
        "../../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.image_corpus(w.source)),
    params:
        spec=lambda w: study.spec("image_corpus", w.source),
        files=lambda w: study.source_stamp(w.source),
        code=lambda w: study.code("image_corpus", w.source),
        plugins=lambda w: plugin_flags("image_corpus", w.source),
        out=subpath(output[0], parent=True),
    shell:
        "python -m proxyscale image_corpus --log {log:q} {params.plugins} --source {wildcards.source}"
        " --spec {params.spec:q} --out {params.out:q}"


rule image_pool:
    """Choose the candidate images."""
    input:
        manifest(paths.corpus(study.config.pool.source)),
    output:
        paths.pool,
        [f"{study.config.results}/pool/{name}" for name in rows],
    log:
        paths.log("pool"),
    priority: 1_000_000
    conda:
        "../../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.image_pool()),
    params:
        spec=study.spec("image_pool"),
        code=study.code("image_pool"),
        corpus=subpath(input[0], parent=True),
        out=subpath(output[0], parent=True),
    shell:
        "python -m proxyscale image_pool --log {log:q} --corpus {params.corpus:q}"
        " --spec {params.spec:q} --out {params.out:q}"


rule image_task:
    """Choose a test set's images."""
    input:
        corpus=lambda w: manifest(paths.corpus(study.config.tasks[w.task].source)),
        pool=paths.pool,
    output:
        manifest(paths.task()),
        [f"{paths.task()}/{s}/manifest.json" for s in ("holdout", "target")],
        [f"{paths.task()}/{s}/{name}" for s in ("holdout", "target") for name in rows],
    log:
        paths.log("task/{task}"),
    priority: 1_000_000
    conda:
        "../../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.image_task(w.task)),
    params:
        spec=lambda w: study.spec("image_task", w.task),
        code=study.code("image_task"),
        corpus=subpath(input.corpus, parent=True),
        out=subpath(output[0], parent=True),
    shell:
        "python -m proxyscale image_task --log {log:q} --corpus {params.corpus:q} --pool {input.pool:q}"
        " --spec {params.spec:q} --out {params.out:q}"
