#!/bin/sh
# State of a PBS job for Snakemake: running, success or failed. qstat -x knows ended jobs, too.
said=$(qstat -x -f "$1") || { echo running; exit; } # the server does not answer: ask again
state=$(printf '%s\n' "$said" | sed -n 's/^ *job_state = //p')
status=$(printf '%s\n' "$said" | sed -n 's/^ *Exit_status = //p')
case $state in
    F | X | C) [ "$status" = 0 ] && echo success || echo failed ;;
    *) echo running ;;
esac
