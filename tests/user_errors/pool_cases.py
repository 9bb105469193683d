"""Pools that cannot be held, and providers that make none."""

from __future__ import annotations

from tests.user_errors.case import Case

_PROVIDER = "from parsl.providers import LocalProvider\nfrom parsl_diaspora import ResilientPoolProvider\n"
_FULL = _PROVIDER + (
    "class Full(LocalProvider):\n"
    "    def submit(self, *args, **kwargs):\n"
    '        raise RuntimeError("sbatch: error: Job violates accounting/QOS policy")\n'
)

POOLS = (
    Case(
        "More nodes than the sites may hold",
        code='resilient(config, pool={"sites": {"cpu": {"max_nodes": 2}}, "min_nodes": 4})',
    ),
    Case(
        "A minimum above the maximum",
        code='resilient(config, pool={"sites": {"cpu": {}}, "min_nodes": 4, "max_nodes": 2})',
    ),
    Case(
        "More locations than there are",
        code='resilient(config, pool={"sites": {"cpu": {"max_nodes": 2}}, "min_locations": 2})',
    ),
    Case(
        "A capability that no site has",
        code='resilient(config, pool={"sites": {"cpu": {}}, "capabilities": {"gpu": 1}})',
    ),
    Case("A site that there is not", code='resilient(config, pool={"sites": {"gpuu": {}}})'),
    Case("No site", code='resilient(config, pool={"sites": {}})'),
    Case(
        "A span of time that is none",
        code='resilient(config, pool={"sites": {"cpu": {}}, "idle": "a while"})',
    ),
    Case(
        "A pool in a file that holds none",
        command="pools check pool.yaml",
        files={"pool.yaml": "max_tries: 3\n"},
    ),
    Case(
        "A simulated world that makes no sense",
        command="pools simulate pool.yaml --trace world.yaml",
        files={"pool.yaml": "sites: {cpu: {}}\n", "world.yaml": "losses: {every: often}\n"},
    ),
    Case("A pool provider without members", code=_PROVIDER + "ResilientPoolProvider({})"),
    Case("A member's name with a slash", code=_PROVIDER + 'ResilientPoolProvider({"a/b": LocalProvider()})'),
    Case("A member that is no provider", code=_PROVIDER + 'ResilientPoolProvider({"main": "slurm"})'),
    Case(
        "More blocks at least than at most",
        code=_PROVIDER + 'ResilientPoolProvider({"main": LocalProvider()}, min_blocks=3, max_blocks=2)',
    ),
    Case(
        "A walltime that is none",
        code=_PROVIDER + 'ResilientPoolProvider({"main": LocalProvider()}, walltimes=("two hours",))',
    ),
    Case(
        "A scheduler that rejects the block",
        code=_FULL + 'ResilientPoolProvider({"main": Full()}).submit("true", 1)',
    ),
)
