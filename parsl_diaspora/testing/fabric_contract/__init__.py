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

One module is one part of the contract:

    base.py        flags, fixtures, help        positions.py  commits and names
    publishing.py  stamps, order, refusals      starts.py     where a reader begins
    content.py     arrives what was said       polling.py    waiting, limits, lag
    flushing.py    reports and closing          outages.py    the backend fails, is slow, comes back
    deaths.py      killed writers and readers   load.py       many processes, a reader far behind
    clocks.py      a clock that steps back

Each test gets a URL under which nothing has been published yet. What a backend may do or not is a flag of the
class, see `base.ContractBase`; a test whose ability is switched off is skipped and says so.
"""

from __future__ import annotations

from parsl_diaspora.testing.fabric_contract.base import ContractBase
from parsl_diaspora.testing.fabric_contract.clocks import Clocks
from parsl_diaspora.testing.fabric_contract.content import Content
from parsl_diaspora.testing.fabric_contract.deaths import Deaths
from parsl_diaspora.testing.fabric_contract.flushing import Flushing
from parsl_diaspora.testing.fabric_contract.load import Load
from parsl_diaspora.testing.fabric_contract.outages import Outages
from parsl_diaspora.testing.fabric_contract.polling import Polling
from parsl_diaspora.testing.fabric_contract.positions import Positions
from parsl_diaspora.testing.fabric_contract.publishing import Publishing
from parsl_diaspora.testing.fabric_contract.starts import Starts

__all__ = ["FabricContract"]


class FabricContract(
    Publishing, Content, Positions, Starts, Polling, Flushing, Deaths, Clocks, Load, Outages, ContractBase
):
    """Derive, give a ``fabric_url`` fixture, and let pytest collect the class.

    The flags, and what there is to override, are those of `base.ContractBase`.
    """
