# What jobs ask for: GPUs of this machine or of a scheduler, memory and time.
import math

from proxyscale.base import devices
from proxyscale.study.job_times import Job
from proxyscale.study.language_runs import LanguageRuns
from proxyscale.study.needs import Needs

# On one machine the jobs share its GPUs, counted in slots: a whole one each, or what a scale says; on
# a cluster the scheduler hands out whole ones.
one_machine = workflow.is_main_process and workflow.resource_settings.nodes is None
gpus = devices.SLOTS if one_machine and devices.visible() else 0
if gpus:
    os.environ[devices.ENVIRONMENT] = ",".join(devices.visible())
    workflow.register_resource("gpu", devices.SLOTS * len(devices.visible()))

# What a job asks of a scheduler; --set-resources, on the command line or in a profile, outdoes it.
overwritten = workflow.resource_settings.overwrite_resources.get("train", {})
one = 1 if gpus else 0
needs = Needs(study, gpus=overwritten["gpu"].value if "gpu" in overwritten else one)


if teller and not isinstance(study, LanguageRuns):
    teller.counted = "jobs"


def cost_of(told):
    """What a job takes, as the plan estimates it; where there is none, jobs are counted."""
    if not isinstance(study, LanguageRuns):
        return 1.0
    job = Job(told.rule, told.log, pending=True)
    return needs.estimate.seconds(job) or 0.0


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
