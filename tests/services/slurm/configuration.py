"""A configuration of Slurm for nodes that are all this host: loopback only, all files in one directory."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Sequence
from pathlib import Path

CPUS, MEMORY = 4, 2000  # of a node: threads, MB
SLURMD_TIMEOUT = 5  # seconds: a node that is not heard of is down after about three times as long
KILL_WAIT = 2  # seconds from SIGTERM to SIGKILL

_COMMON = f"""\
ClusterName=testc
AuthType=auth/munge
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=0
SlurmdParameters=config_overrides
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ReturnToService=1
KillWait={KILL_WAIT}
OverTimeLimit=0
SlurmctldTimeout=10
SlurmdTimeout={SLURMD_TIMEOUT}
MinJobAge=300
MessageTimeout=5
JobRequeue=1
"""


def configuration(
    directory: Path, nodes: Sequence[str], ports: Sequence[int], extra: dict[str, object]
) -> str:
    """The text of a slurm.conf.

    Args:
        directory: for all that the daemons write.
        nodes: names of the nodes.
        ports: of slurmctld, then one a node.
        extra: further lines, or other values.
    """
    me, host = getpass.getuser(), socket.gethostname().partition(".")[0]
    settings = dict(line.split("=", 1) for line in _COMMON.splitlines())
    settings |= {
        "SlurmctldHost": "localhost(127.0.0.1)",
        "SlurmctldPort": str(ports[0]),
        "SlurmUser": me,
        "SlurmdUser": me,
        "AuthInfo": f"socket={directory}/munge/sock,cred_expire=5",
        "StateSaveLocation": f"{directory}/state",
        "SlurmdSpoolDir": f"{directory}/spool/%n",
        "SlurmctldPidFile": f"{directory}/run/slurmctld.pid",
        "SlurmdPidFile": f"{directory}/run/slurmd.%n.pid",
        "SlurmctldLogFile": f"{directory}/log/slurmctld.log",
        "SlurmdLogFile": f"{directory}/log/slurmd.%n.log",
    }
    settings |= {name: str(value) for name, value in extra.items()}
    lines = [f"{name}={value}" for name, value in settings.items()]
    for node, port in zip(nodes, ports[1:], strict=True):
        place = f"NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
        lines.append(f"NodeName={node} {place} CPUs={CPUS} RealMemory={MEMORY} State=UNKNOWN")
    lines += _partitions(nodes)
    return "\n".join(lines) + "\n"


def _partitions(nodes: Sequence[str]) -> list[str]:
    """One of all nodes, and two that share them."""
    half = len(nodes) // 2
    parts = {"main": nodes, "left": nodes[:half], "right": nodes[half:]}
    return [
        f"PartitionName={name} Nodes={','.join(of)} Default={'YES' if name == 'main' else 'NO'} "
        "MaxTime=60 DefaultTime=10 State=UP"
        for name, of in parts.items()
    ]
