"""All parts of the contract in one class."""

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


class FabricContract(
    Publishing, Content, Positions, Starts, Polling, Flushing, Deaths, Clocks, Load, Outages, ContractBase
):
    """Derive, give a ``fabric_url`` fixture, and let pytest collect the class.

    The flags, and what there is to override, are those of `base.ContractBase`.
    """
