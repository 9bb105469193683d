"""What every fabric promises, as tests. Each backend passes them, ours and those of other packages.

A package with a backend of its own, which the entry point ``acme`` of the group ``parsl_diaspora.fabrics``
names, holds it to the contract in its own test suite; that needs pytest and nothing else:

    # tests/conftest.py: lets a failing assertion show its values
    import pytest
    pytest.register_assert_rewrite("parsl_diaspora.testing.fabric_contract")

    # tests/test_contract.py
    from parsl_diaspora.testing.fabric_contract import FabricContract

    class TestAcme(FabricContract):
        patience = 20.0        # seconds: a remote service is slower than a directory
        can_break = False      # no test makes it unavailable

        @pytest.fixture
        def fabric_url(self, acme_server):
            return f"acme://{acme_server.address}/{uuid.uuid4().hex}"

One module is one part of the contract, contract.py all of them:

    base.py        flags, fixtures, help        positions.py  commits and names
    publishing.py  stamps, order, refusals      starts.py     where a reader begins
    content.py     arrives what was said       polling.py    waiting, limits, lag
    flushing.py    reports and closing          outages.py    the backend fails, is slow, comes back
    deaths.py      killed writers and readers   load.py       many processes, a reader far behind
    clocks.py      a clock that steps back

Each test gets a URL under which nothing has been published yet. What a backend may do or not is a flag of the
class, see `base.ContractBase`; a test whose ability is switched off is skipped and says so.
"""

from parsl_diaspora.testing.fabric_contract.contract import FabricContract

__all__ = ["FabricContract"]
