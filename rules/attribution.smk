# From models to scores of the pool's examples for a task.
#
# in:   runs/{scale}/{distribution}/{draw}-{seed}/model  pool/  tasks/{task}/target.parquet
# out:  features/{scale}/{distribution}/{draw}-{seed}/{candidates}/{pool,{task}.target}/
#       scores/{scale}/{distribution}/{candidates}/{task}.{parquet,json}
#       scores/{scale}/{distribution}/{candidates}.losses.parquet
#       scores/{agreement,influence}.parquet
# steps: project gradients | score | take losses | hold the scores of all scales side by side
#
# Which models score what follows from `scored_on`, `scale`, `task` and `candidates` of the
# distributions: one walk back, score -> select, that the config keeps free of circles.


rule feature_shard:
    """Project a model's gradients on a part of the candidates."""

    # One of the jobs that share the candidates of a model, where the study says several.
    input:
        run=manifest(paths.run()),
        model=ancient(inside(paths.run(), "model.safetensors")),
        pool=paths.pool,
        rows=pool_rows(),
    output:
        update(manifest(f"{paths.features()}/shards/{{shard}}")),
    log:
        paths.log("features/{scale}/{distribution}/{draw}-{seed}/{candidates}/{shard}"),
    priority: 1_000_000
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.feature_shard(w.scale, w.candidates)),
    params:
        spec=lambda w: study.spec("feature_shard", w.candidates, int(w.shard)),
        code=lambda w: study.code("feature_shard", w.scale),
        plugins=lambda w: plugin_flags("features", w.scale),
    shell:
        "python -m proxyscale feature_shard --log {log:q} --gpus {resources.gpu} {params.plugins}"
        " --run {input.run:q} --pool {input.pool:q}"
        " --title 'features of {wildcards.scale}/{wildcards.distribution}"
        " draw {wildcards.draw} seed {wildcards.seed} shard {wildcards.shard}'"
        " --code {params.code} --spec {params.spec:q} --out {output:q}"


rule features:
    """Project a model's gradients on candidates and on tasks' target examples."""

    # A job makes only those features that are missing or no longer vouched for.
    input:
        shards=lambda w: [
            manifest(f"{paths.features(**w)}/shards/{shard}")
            for shard in study.feature_shards(w.candidates)
        ],
        run=manifest(paths.run()),
        model=ancient(inside(paths.run(), "model.safetensors")),
        pool=paths.pool,
        rows=pool_rows(),
        tasks=[manifest(paths.task(task)) for task in study.scored_tasks],
    output:
        pool=update(manifest(inside(paths.features(), "pool"))),
        targets=[
            update(manifest(inside(paths.features(), f"{task}.target")))
            for task in study.scored_tasks
        ],
    log:
        paths.log("features/{scale}/{distribution}/{draw}-{seed}/{candidates}"),
    priority: 1_000_000
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.features(w.scale, w.candidates)),
    params:
        spec=lambda w: study.spec("features", w.candidates),
        code=lambda w: study.code("features", w.scale),
        plugins=lambda w: plugin_flags("features", w.scale),
        tasks=lambda w, input: words(*input.tasks),
    shell:
        "python -m proxyscale features --log {log:q} --gpus {resources.gpu} {params.plugins}"
        " --run {input.run:q} --pool {input.pool:q} --task {params.tasks}"
        " --title 'features of {wildcards.scale}/{wildcards.distribution}"
        " draw {wildcards.draw} seed {wildcards.seed}'"
        " --code {params.code} --spec {params.spec:q} --out {output.pool:q}"


rule score:
    """Score the candidates for a task, from features of both by one model after another."""
    input:
        pool=lambda w: scoring_features(w, "pool"),
        target=lambda w: scoring_features(w, f"{w.task}.target"),
    output:
        scores=paths.scores(),
        facts=paths.scores().replace(".parquet", ".json"),
    log:
        paths.log("scores/{scale}/{distribution}/{candidates}/{task}"),
    priority: 1_000_000
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.score(w.candidates)),
    params:
        spec=study.spec("score"),
        code=study.code("score"),
        pool=lambda w, input: words(*input.pool),
        target=lambda w, input: words(*input.target),
    shell:
        "python -m proxyscale score --log {log:q} --gpus {resources.gpu} --pool {params.pool} --target {params.target}"
        " --spec {params.spec:q} --out {output.scores:q}"


rule candidate_losses:
    """Take the loss of every candidate under some models."""
    input:
        runs=lambda w: [
            manifest(paths.run(*run)) for run in study.models(w.scale, w.distribution)
        ],
        models=lambda w: ancient(
            [
                inside(paths.run(*run), "model.safetensors")
                for run in study.models(w.scale, w.distribution)
            ]
        ),
        pool=paths.pool,
        rows=pool_rows(),
    output:
        paths.candidate_losses(),
    log:
        paths.log("candidate_losses/{scale}/{distribution}/{candidates}"),
    priority: 1_000_000
    conda:
        "../envs/proxyscale.yaml"
    resources:
        **asks(lambda w: needs.candidate_losses(w.scale, w.distribution, w.candidates)),
    params:
        spec=lambda w: study.spec("candidate_losses", w.candidates),
        code=lambda w: study.code("candidate_losses", w.scale),
        plugins=lambda w: plugin_flags("candidate_losses", w.scale),
        runs=lambda w, input: words(*input.runs),
    shell:
        "python -m proxyscale candidate_losses --log {log:q} --gpus {resources.gpu} {params.plugins}"
        " --run {params.runs} --pool {input.pool:q} --spec {params.spec:q}"
        " --title 'losses of candidates under {wildcards.scale}/{wildcards.distribution}'"
        " --out {output:q}"


rule compare_scores:
    """Hold the scores of all scales side by side."""
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
    resources:
        **asks(lambda w: needs.compare_scores()),
    params:
        spec=study.spec("score"),
        code=study.code("compare_scores"),
        features=flags("features", compared_features()),
        tasks=flags("task", [(t, paths.task(t)) for t in study.compared_tasks]),
    shell:
        "python -m proxyscale compare_scores --log {log:q} --gpus {resources.gpu} {params.features} {params.tasks}"
        " --pool {input.pool:q} --tokenizer {input.tokenizer:q} --spec {params.spec:q}"
        " --agreement {output.agreement:q} --influence {output.influence:q}"
