# The study, checked before the graph is built, and what all rules share.
#
# Every rule calls one verb of `python -m proxyscale` with named flags, and can be pasted into a
# shell. What a job depends on besides files reaches it as two strings: `spec`, the job's own slice
# of the config, and `code`, a digest of the modules that do its work.
import math
import os
import shlex
import sys

sys.path.insert(0, f"{workflow.basedir}/src")

from proxyscale.base import devices, lock, run_cache
from proxyscale.study.config import read_yaml
from proxyscale.base.errors import UserError
from proxyscale.cli.load_study import load
from proxyscale.vision.study import ImageStudy
from proxyscale.study.inputs import check_inputs
from proxyscale.study.needs import Needs
from proxyscale.study.outside_study import OwnRunsStudy
from proxyscale.study.study import READ, Run, Study


def refuse(error):
    """End with the user's mistake and no traceback."""
    print(f"\n{error}\n", file=sys.stderr)
    sys.exit(2)


try:
    for path in workflow.configfiles or ["config.yaml"]:
        read_yaml(path)  # Snakemake itself lets a key stand twice
except UserError as error:
    refuse(error)

# With --configfile the user's study stands alone: nothing of the default one leaks into it.
if not workflow.configfiles:

    configfile: "config.yaml"


try:
    study = load(config)
    if isinstance(study, Study):
        check_inputs(study)
    study.claim_results()
    if not workflow.is_main_process:
        lock.join(parent_dies=False)
except UserError as error:
    refuse(error)

paths = study.paths

# Jobs run the interpreter that runs Snakemake, unless --sdm says otherwise, and this package.
os.environ.update(
    PATH=os.pathsep.join(
        [os.path.dirname(sys.executable), os.getenv("PATH", os.defpath)]
    ),
    PYTHONPATH=f"{workflow.basedir}/src",
)
os.environ[lock.PARENT] = str(os.getpid())
# A rule's command takes the place of its shell, so that it is Snakemake's own child and dies with it.
shell.prefix("set -euo pipefail; exec ")

# On one machine the jobs share its GPUs, counted in slots: a whole one each, or what a scale says; on
# a cluster the scheduler hands out whole ones.
one_machine = workflow.is_main_process and workflow.resource_settings.nodes is None
gpus = devices.SLOTS if one_machine and devices.visible() else 0
if gpus:
    os.environ[devices.ENVIRONMENT] = ",".join(devices.visible())
    workflow.register_resource("gpu", devices.SLOTS * len(devices.visible()))

run_cache.use_cache(getattr(study, "installed", ()))

# What a job asks of a scheduler; --set-resources, on the command line or in a profile, outdoes it.
overwritten = workflow.resource_settings.overwrite_resources.get("train", {})
one = 1 if gpus else 0
needs = Needs(study, gpus=overwritten["gpu"].value if "gpu" in overwritten else one)


def gpus_of(wildcards):
    """What a run of a scale asks for: slots here, GPUs of a scheduler."""
    share = study.scales[wildcards.scale].execution["gpus"]
    if one_machine:
        return devices.slots(share or 1) if gpus else 0
    return math.ceil(share)


def asks(need):
    """The resources of a rule whose jobs need `need(wildcards)`, more of them at every attempt."""
    return {
        "mem_mb": lambda wildcards, attempt: need(wildcards).mem_mb(attempt),
        "runtime": lambda wildcards, attempt: need(wildcards).runtime(attempt),
    }


wildcard_constraints:
    source="[^/]+",
    task="[^/]+",
    distribution="[^/]+",
    scale="[^/]+",
    shard=r"\d+",
    draw=r"\d+",
    seed=r"\d+",
    candidates=r"(all|\d+)(@[^/]+)?",
    figure=r"[a-z_]+_fig\d+|frontier",
    table=r"tab\d+",


def inside(folder, name):
    """A file of a job's folder."""
    return f"{folder}/{name}"


def manifest(folder):
    """The small file that stands for a large one, whose sha256 sum it holds."""
    return inside(folder, "manifest.json")


def flags(name, pairs, root=""):
    """`--name key=path` for every pair: named inputs of one kind on a command line."""
    return " ".join(
        f"--{name} {shlex.quote(f'{key}={root}{path}')}" for key, path in pairs
    )


def files_flags(name, files):
    """`--name file` for every file, of which there may be none."""
    return " ".join(f"--{name} {shlex.quote(str(file))}" for file in files)


def storage_root(found, path):
    """What stands before the study's paths in a job: with a storage, the folder of its copies."""
    return str(found).removesuffix(path) if str(found).endswith(path) else ""


def plugin_flags(rule, name):
    """`--plugin` for the plugin files that a job runs."""
    return files_flags("plugin", study.plugins(rule, name))


def seen(wildcards):
    """What a distribution's method looks at of its task: target examples, scores of candidates."""
    task = study.config.distributions[wildcards.distribution].task
    scoring = study.scoring(wildcards.distribution)
    scores = paths.scores(*scoring) if scoring else None
    return {
        "target": [inside(paths.task(task), "target.parquet")] if task else [],
        "scores": [scores, scores.replace(".parquet", ".json")] if scoring else [],
    }


def scoring_features(wildcards, part):
    """The features of the pool or of a task that scores are made of, by every model."""
    runs = study.models(wildcards.scale, wildcards.distribution)
    folders = [paths.features(*run, wildcards.candidates) for run in runs]
    return [manifest(inside(folder, part)) for folder in folders]


def pool_rows():
    """The pool's rows, which its manifest vouches for."""
    return ancient([f"{paths.pack(*pack)}/inputs.npy" for pack in study.packs])


def pool_words():
    """The words of the pool's documents, which its packs' manifests vouch for."""
    return ancient([f"{paths.pack(*pack)}/words.bin" for pack in study.packs])


def documents(sources):
    """The text of sources, which their manifests vouch for."""
    return ancient([inside(paths.corpus(s), "documents.parquet") for s in sources])


def compared_features():
    """(scale:number, folder of features) of every model whose scores are held side by side."""
    return [
        (f"{scale}:{number}", paths.features(*run, study.sample))
        for scale, runs in study.side_by_side.items()
        for number, run in enumerate(runs)
    ]


def holdouts(tasks):
    """The test examples of tasks, which their manifests vouch for."""
    folders = [paths.task(task) for task in tasks]
    examples = [inside(folder, "holdout.parquet") for folder in folders]
    return [manifest(folder) for folder in folders] + ancient(examples)


def more_tables(wildcards, root=""):
    """What a figure reads besides statistics, losses and runs: its files, and their flags."""
    kind = READ.get(wildcards.figure)
    if kind == "tasks":
        folders = [(task, paths.task(task)) for task in study.config.tasks]
        return holdouts(study.config.tasks), flags("task", folders, root)
    if kind == "curves":
        files = [f"{paths.run(*run)}/curve.parquet" for run in study.runs]
        return files, files_flags("results", [root + paths.results])
    if kind:
        file = paths.compared(kind)
        return [file], files_flags(kind, [root + file])
    return [], ""


def priority_of(wildcards):
    """Compute relative to the cheapest run; what selection waits for comes before all others."""
    number = int(wildcards.draw), int(wildcards.seed)
    if Run(wildcards.scale, wildcards.distribution, *number) in study.scoring_runs:
        return 500_000
    cheapest = next(iter(study.scales.values())).flops
    return round(100 * study.scales[wildcards.scale].flops / cheapest)


def figure_files():
    """Every file of every figure that this study has."""
    return [
        f"{paths.figure(name)}.{kind}"
        for name in study.figures
        for kind in ("pdf", "svg", "csv")
    ]
