# The study, checked before the graph is built, and what all rules share.
#
# Every rule calls one verb of `python -m proxyscale` with named flags, and can be pasted into a
# shell. What a job depends on besides files reaches it as two strings: `spec`, the job's own slice
# of the config, and `code`, a digest of the modules that do its work.
import hashlib
import os
import re
import shlex
import sys

# Of this workflow, which another one may use as a module.
ROOT = os.path.dirname(workflow.current_basedir.get_path_or_uri(secret_free=False))
sys.path.insert(0, f"{ROOT}/src")

from proxyscale import registry
from proxyscale.base import ending, job_records, job_server, lock, many_jobs, run_cache
from proxyscale.base.errors import UserError
from proxyscale.base.paths import loss_stem
from proxyscale.base.repair import leave, repair
from proxyscale.base.shipped import PACKAGE
from proxyscale.cli.load_study import config_of, load
from proxyscale.study import telling
from proxyscale.study.validation import read_yaml

# Snakemake's frame around every job is left to its log, unless somebody asks for it. What jobs cost
# is known to rules/resources.smk.
teller = None
if workflow.is_main_process:
    teller = telling.tell_less(
        workflow.output_settings,
        lambda: workflow.dag.needrun_jobs(),
        lambda told: cost_of(told),
    )


def refuse(error):
    """End with the user's mistake and no traceback."""
    print(f"\n{error}\n", file=sys.stderr)
    sys.exit(2)


# In a folder without a config the default study is run. With --configfile the user's study stands
# alone: nothing of the default one leaks into it.
default_config = (
    "config.yaml" if os.path.exists("config.yaml") else f"{ROOT}/config.yaml"
)
try:
    for path in workflow.configfiles or [default_config]:
        read_yaml(path)  # Snakemake itself lets a key stand twice
except UserError as error:
    refuse(error)

if not workflow.configfiles:
    if workflow.is_main_process and default_config != "config.yaml":
        print(f"no config.yaml here: the study is {default_config}", file=sys.stderr)

    configfile: default_config


try:
    # No file of the working folder is taken for a module.
    sys.path[:] = [p for p in sys.path if p and os.path.realpath(p) != os.getcwd()]
    with config_of(workflow.configfiles):
        study = load(config)
        study.check_inputs()
        study.claim_results()
    if not workflow.is_main_process:
        lock.join(parent_dies=False)
    else:
        ending.end_when_told()
        ending.try_again_what_may_help(study.config.results)
        job_records.keep(study.config.results)
        job_records.take_back_inputs()
        many_jobs.lighten()
        for told in repair(study.config.results, study.made):
            print(told, file=sys.stderr)
except UserError as error:
    refuse(error)

paths = study.paths

# Jobs run the interpreter that runs Snakemake, unless --sdm says otherwise, and this package.
os.environ.update(
    PATH=os.pathsep.join(
        [os.path.dirname(sys.executable), os.getenv("PATH", os.defpath)]
    ),
    PYTHONPATH=os.path.dirname(PACKAGE),
    PYTHONSAFEPATH="1",
)
os.environ[lock.PARENT] = str(os.getpid())
shell.prefix(job_server.PREFIX)

run_cache.use_cache(study.installed, study.config.results)


wildcard_constraints:
    source="[^/]+",
    task="[^/]+",
    distribution="[^/]+",
    scale="[^/]+",
    model="[^/]+",
    shard=r"\d+",
    draw=r"\d+",
    seed=r"\d+",
    candidates=r"(all|\d+)(@[^/]+)?",
    figure="|".join(map(re.escape, registry.figure.entries)),
    table=r"tab\d+",


def inside(folder, name):
    """A file of a job's folder."""
    return f"{folder}/{name}"


def manifest(folder):
    """The small file that stands for a large one, whose sha256 sum it holds."""
    return inside(folder, "manifest.json")


LONG = 20_000  # characters: a command may have 128 KiB


def words(*said):
    """Words of a command line; where they are many, they lie in a file, a line each."""
    text = " ".join(shlex.quote(str(word)) for word in said)
    return text if len(text) < LONG else f"--arguments {in_a_file(said)}"


def flags(name, pairs, root=""):
    """`--name key=path` for every pair: named inputs of one kind on a command line."""
    named = [(f"--{name}", f"{key}={root}{path}") for key, path in pairs]
    return words(*(word for pair in named for word in pair))


def in_a_file(said):
    """The file that holds words of a command."""
    text = "\n".join(map(str, said))
    path = f".snakemake/arguments/{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.{os.getpid()}", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(file.name, path)
    return path


def files_flags(name, files):
    """`--name file` for every file, of which there may be none."""
    return words(*(word for file in files for word in (f"--{name}", file)))


def plugin_flags(rule, name):
    """`--plugin` for the plugin files that a job runs."""
    return files_flags("plugin", study.plugins(rule, name))


def pool_rows():
    """The pool's rows, which its manifest vouches for."""
    return ancient([f"{paths.pack(*pack)}/inputs.npy" for pack in study.packs])


def holdouts(tasks):
    """The test examples of tasks, which their manifests vouch for."""
    folders = [paths.task(task) for task in tasks]
    examples = [inside(folder, "holdout.parquet") for folder in folders]
    return [manifest(folder) for folder in folders] + ancient(examples)


def storage_root(found, path):
    """What stands before the study's paths in a job: with a storage, the folder of its copies."""
    return str(found).removesuffix(path) if str(found).endswith(path) else ""
