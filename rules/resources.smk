# What jobs ask for: GPUs of this machine or of a scheduler, memory and time.
import math

from proxyscale.base import devices
from proxyscale.study.hardware import LEAST
from proxyscale.study.job_graph import Job
from proxyscale.study.language_runs import LanguageRuns
from proxyscale.study.needs import once_a_round

# On one machine the jobs share its GPUs, counted in slots: a whole one each, or what a scale says; on
# a cluster the scheduler hands out whole ones.
one_machine = workflow.is_main_process and workflow.resource_settings.nodes is None
here = devices.visible() if one_machine else []
if here:
    os.environ[devices.ENVIRONMENT] = ",".join(here)
    workflow.register_resource("gpu", devices.SLOTS * len(here))

needs = study.needs(LEAST if here or not one_machine else "cpu")


if teller and not isinstance(study, LanguageRuns):
    teller.counted = "jobs"


def cost_of(told):
    """What a job takes, as the plan estimates it; where there is none, jobs are counted."""
    if not isinstance(study, LanguageRuns):
        return 1.0
    job = Job(told.rule, told.log, pending=True)
    return needs.estimate.seconds(job) or 0.0


def check_gpus():
    """UserError if jobs would wait for ever for GPUs or nodes; tell if CPU cores do the work."""
    most = needs.most_gpus()
    if one_machine:
        if told := devices.check(here, most):
            print(told, file=sys.stderr)
    elif most.nodes > 1 and workflow.executor_plugin.name != "slurm":
        message = f"a run asks for {most.nodes} nodes, which are asked of Slurm alone"
        raise UserError(message, where=most.where, hint="--profile profiles/slurm")


def serve_jobs():
    """Let jobs be forked from one process, where they all run here and in this environment."""
    here_alone = one_machine and not workflow.deployment_settings.deployment_method
    many = len(list(workflow.dag.needrun_jobs())) > job_server.FEW
    if here_alone and many and sys.platform == "linux":
        job_server.start()
        job_server.hand_over()


def gpus_of(need):
    """What a job asks for: slots here, GPUs of a scheduler."""
    if one_machine:
        return devices.slots(need.gpus) if here and need.gpus else 0
    return math.ceil(need.gpus)


def asks(need):
    """The resources of a rule whose jobs need `need(wildcards)`, more of them at every attempt."""
    found = once_a_round(need)
    return {
        "mem_mb": lambda wildcards, attempt: found("mem_mb", wildcards).mem_mb(attempt),
        "runtime": lambda wildcards, attempt, threads: found("time", wildcards).runtime(
            attempt, threads
        ),
        "gpu": lambda wildcards: gpus_of(found("gpu", wildcards)),
    }


def on_nodes(need):
    """What Slurm is asked for by jobs that several nodes share; of others None, which is nothing.

    With `mpi` its executor starts a job once, on the first node, and leaves it to the job to start
    what runs on each.
    """
    if one_machine:
        return {}
    found = once_a_round(need)

    def asked(name, value):
        def of_job(wildcards):
            told = found(name, wildcards)
            return value(told) if told.nodes > 1 else None

        return of_job

    values = {
        "mpi": lambda told: "srun",
        "nodes": lambda told: told.nodes,
        "tasks": lambda told: told.nodes,
        "tasks_per_gpu": lambda told: 0,
        "slurm_extra": lambda told: f"--gpus-per-node={int(told.gpus) // told.nodes}",
    }
    return {name: asked(name, value) for name, value in values.items()}
