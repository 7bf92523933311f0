# From models to scores of the pool's examples for a task.
#
# in:   runs/{scale}/{distribution}/{draw}-{seed}/model  pool/  tasks/{task}/target.parquet
# out:  features/{scale}/{distribution}/{draw}-{seed}/{candidates}/{pool,{task}.target}/
#       scores/{scale}/{distribution}/{candidates}/{task}.{parquet,json}
#       scores/{agreement,influence}.parquet
# steps: project gradients | score | hold the scores of all scales side by side
#
# Which models score what follows from `scored_on`, `scale`, `task` and `candidates` of the
# distributions: one walk back, score -> select, that the config keeps free of circles.


rule features:
    # A job makes only those features that are missing or no longer vouched for.
    input:
        run=manifest(paths.run()),
        model=ancient(inside(paths.run(), "model.safetensors")),
        pool=paths.pool,
        rows=ancient([f"{paths.pack(source)}/inputs.npy" for source in study.sources]),
        tasks=[manifest(paths.task(task)) for task in study.scored_tasks],
    output:
        [
            update(manifest(inside(paths.features(), part)))
            for part in ("pool", *(f"{task}.target" for task in study.scored_tasks))
        ],
    log:
        paths.log("features/{scale}/{distribution}/{draw}-{seed}/{candidates}"),
    priority: 1_000_000
    conda:
        "../envs/proxyscale.yaml"
    params:
        spec=lambda w: study.features(w.candidates),
        code=study.code("features"),
        tasks=flags("task", [(task, paths.task(task)) for task in study.scored_tasks]),
        run=subpath(input.run, parent=True),
        out=subpath(output[0], ancestor=2),
        title="features of {scale}/{distribution} draw {draw} seed {seed}",
    shell:
        "python -m proxyscale features --log {log} --run {params.run:q} --pool {input.pool:q}"
        " {params.tasks} --title {params.title:q} --code {params.code} --spec {params.spec:q}"
        " --out {params.out:q}"


rule score:
    input:
        lambda w: [
            manifest(inside(folder, part))
            for folder in scoring_features(w)
            for part in ("pool", f"{w.task}.target")
        ],
    output:
        paths.scores(),
        paths.scores().replace(".parquet", ".json"),
    log:
        paths.log("scores/{scale}/{distribution}/{candidates}/{task}"),
    priority: 1_000_000
    conda:
        "../envs/proxyscale.yaml"
    params:
        spec=study.score(),
        code=study.code("score"),
        features=lambda w: flags("features", enumerate(scoring_features(w))),
    shell:
        "python -m proxyscale score --log {log} {params.features} --task {wildcards.task}"
        " --spec {params.spec:q} --out {output[0]:q}"


rule compare_scores:
    input:
        features=[
            manifest(inside(folder, part))
            for _, folder in compared_features()
            for part in ("pool", *(f"{task}.target" for task in study.compared_tasks))
        ],
        tasks=[manifest(paths.task(task)) for task in study.compared_tasks],
        pool=paths.pool,
        tokenizer=paths.tokenizer,
    output:
        agreement=paths.compared("agreement"),
        influence=paths.compared("influence"),
    log:
        paths.log("scores/compare"),
    conda:
        "../envs/proxyscale.yaml"
    params:
        spec=study.score(),
        code=study.code("compare_scores"),
        features=flags("features", compared_features()),
        tasks=flags("task", [(t, paths.task(t)) for t in study.compared_tasks]),
    shell:
        "python -m proxyscale compare_scores --log {log} {params.features} {params.tasks}"
        " --pool {input.pool:q} --tokenizer {input.tokenizer:q} --spec {params.spec:q}"
        " --agreement {output.agreement:q} --influence {output.influence:q}"
