"""Where resources come from: a provider over several, which survives what schedulers do.

pool.py         ResilientPoolProvider: what Parsl, our executors and the scaler ask
placing.py      which member is asked for a block, in which order
member.py       one provider with its jobs: asked with a time limit, in a thread of its own
standing.py     whether a member gets submissions, and what is said when that changes
breaker.py      after failures in a row it rests, and one trial decides
rate.py         at most so many submissions in any minute
survey.py       a look at a member's jobs: which ends are believed, what is unknown
job.py          what is believed of one job
verdict.py      how a job ended, by the scheduler's word and its own record
exit_record.py  what a block's script writes down of its life
schedulers.py   what differs from one scheduler to the next
node_names.py   hosts as the scheduler calls them
walltimes.py    read, mixed and staggered
calls.py        calls to one scheduler
asking.py       a provider asked with some of its attributes changed
words.py        what schedulers say, for people
checks.py       what a pool is given is looked at at once
health.py       how a member is doing
holes.py        nodes that are free in a queue for a while
queues.py       what schedulers have queued for this user, asked without any provider
local_jobs.py   the same of blocks on this host
run_queues.py   those that a program's own blocks may be in
orphans.py      jobs that outlive their program
runs.py         how the runs are whose jobs are found

Names are loaded on first use.
"""

import typing as _typing
from importlib import import_module as _import_module

if _typing.TYPE_CHECKING:
    from parsl_diaspora.providers.health import MemberHealth
    from parsl_diaspora.providers.pool import ResilientPoolProvider

__all__ = ["MemberHealth", "ResilientPoolProvider"]

_MODULES = {"MemberHealth": "health", "ResilientPoolProvider": "pool"}


def __getattr__(name: str) -> _typing.Any:
    """Load a public name on first use."""
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(_import_module(f"parsl_diaspora.providers.{_MODULES[name]}"), name)
