#!/usr/bin/env bash
# Ends the Slurm that up.sh FOLDER started, with its jobs; the folder stays.
set -uo pipefail
folder=$(realpath -m "${1:?usage: down.sh FOLDER}")

for daemon in slurmctld slurmd munged; do
    pid=$(cat "$folder/$daemon.pid" 2>/dev/null) || continue
    [ "$daemon" = slurmctld ] && timeout 10 scancel --me 2>/dev/null
    kill "$pid" 2>/dev/null || continue
    for _ in $(seq 100); do
        kill -0 "$pid" 2>/dev/null || continue 2
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null
done
place=/etc/slurm/slurm.conf
[ "$(readlink $place)" != "$folder/slurm.conf" ] || rm $place
exit 0
