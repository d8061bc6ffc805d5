#!/usr/bin/env bash
# A Slurm of one machine: up.sh FOLDER installs what is missing, starts a controller and a node with
# this machine's cores, memory and one generic GPU, and waits until the node takes jobs. All that it
# writes lies in FOLDER, a short path that only root writes to, but for the link to it at the one
# place where every program of Slurm looks. Needs root, and Debian's apt where Slurm is not there yet.
# Exit code 77: not possible on this machine.
set -euo pipefail
folder=$(realpath -m "${1:?usage: up.sh FOLDER}")

place=/etc/slurm/slurm.conf
[ "$(id -u)" = 0 ] || { echo 'up.sh: needs root' >&2; exit 77; }
if ! type -P slurmctld slurmd munged >/dev/null; then
    command -v apt-get >/dev/null || { echo 'up.sh: no Slurm here, and no apt-get' >&2; exit 77; }
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
        --no-install-recommends slurm-wlm munge; } >/dev/null 2>&1 \
        || { echo 'up.sh: apt-get cannot install slurm-wlm and munge' >&2; exit 77; }
fi

[ ! -e $place ] || { echo "up.sh: $place is there: this machine has a Slurm" >&2; exit 77; }

mkdir -p "$folder"/{state,spool,log}
chmod 755 "$folder"
cd "$folder"

read -r controller node < <(python3 - <<'PORTS'
import socket
ends = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(end.getsockname()[1] for end in ends))
PORTS
)
host=$(hostname -s)
cores=$(env -u OMP_NUM_THREADS nproc)
memory=$(( $(awk '/MemTotal/ {print $2}' /proc/meminfo) / 1024 * 9 / 10 ))

cat >slurm.conf <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$controller
SlurmdPort=$node
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CryptoType=crypto/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
# No control groups: containers rarely have them.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
MpiDefault=none
ReturnToService=2
# Without accounting, what squeue still knows of an ended job is all that is known of it.
MinJobAge=86400
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SchedulerParameters=sched_interval=5,bf_interval=5
KillWait=10
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores RealMemory=$memory Gres=gpu:1
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
# Slurm counts and hands out what lies behind a GPU's file; it must only be a device.
echo "NodeName=$host Name=gpu File=/dev/zero" >gres.conf
echo 'CgroupAutomount=yes' >cgroup.conf

[ -e munge.key ] || (umask 077 && dd if=/dev/urandom of=munge.key bs=1024 count=1 status=none)
munged --force --num-threads=2 --socket="$folder/munge.socket" --key-file="$folder/munge.key" \
    --pid-file="$folder/munged.pid" --seed-file="$folder/munge.seed" \
    --log-file="$folder/log/munged.log" 2>>log/munged.log
mkdir -p "$(dirname $place)"
ln -sfn "$folder/slurm.conf" $place
slurmctld -f "$folder/slurm.conf"
slurmd -f "$folder/slurm.conf" -N "$host"

for _ in $(seq 60); do
    if sinfo --noheader --format=%T 2>/dev/null | grep -q '^idle$'; then
        echo "Slurm is up: $cores cores, $memory MB, 1 GPU"
        exit 0
    fi
    sleep 1
done
echo "up.sh: the node takes no jobs; see $folder/log" >&2
"$(dirname "${BASH_SOURCE[0]}")/down.sh" "$folder"
exit 1
