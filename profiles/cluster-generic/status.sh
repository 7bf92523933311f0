#!/usr/bin/env bash
# What has become of a Slurm job, in the three words that Snakemake asks for.
#   status.sh JOB
state=$(timeout 60 scontrol --oneliner show job "$1" 2>/dev/null | grep -o 'JobState=[A-Z_]*')
case ${state#JobState=} in
    COMPLETED) echo success ;;
    PENDING | CONFIGURING | RUNNING | COMPLETING | SUSPENDED | REQUEUED) echo running ;;
    "") # forgotten by the controller, or the controller did not answer: the accounting may know
        state=$(timeout 60 sacct -n -X -P -o State -j "$1" 2>/dev/null | head -1)
        case $state in
            COMPLETED) echo success ;;
            "" | PENDING | RUNNING | REQUEUED) echo running ;;
            *) echo failed ;;
        esac ;;
    *) echo failed ;;
esac
