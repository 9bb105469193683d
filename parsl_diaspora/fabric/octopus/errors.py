"""What the web service of Octopus answers when it does not do what it was asked to."""

from __future__ import annotations

from parsl_diaspora.errors import FabricUnavailable
from parsl_diaspora.fabric.kafka.faults import Fault


class Refusal(FabricUnavailable):
    """The web service did not do what it was asked to.

    Attributes:
        status: of HTTP; 0 if there was no answer.
        code: the service's own number of the error, or 0.
        fault: cause and remedy.
    """

    status = 0
    code = 0
    fault = Fault("")
