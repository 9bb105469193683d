"""A site's hub: nodes that cannot reach the fabric send their events to it, and get orders from it.

    keys.py       the keys of a run: nobody else gets in
    address.py    hosts, ports and the URL
    wire.py       what client and hub say to each other
    hub.py        the hub: sockets and the thread that serves them
    gate.py       who may enter
    desk.py       what the hub does with each message
    seen.py       what is stored already
    store.py      where the hub brings events to safety
    orders.py     orders that wait to be taken
    peers.py      who is connected, and where
    fabric.py     the client's fabric
    publisher.py  the client's publisher
    intake.py     its callers' side: a bounded queue
    courier.py    its thread
    window.py     batches on their way
    link.py       its connection
    detour.py     another way while the hub is away
    inbox.py      its orders
    wake.py       waking a thread that waits for sockets

An event counts as safe when the hub has acknowledged it, and the hub acknowledges what its target has: for
a ``file:`` target, what was written to a segment of the hub's own; else, what the target's publisher calls
safe. A batch without an acknowledgement is sent again, in order, over a new connection if need be, to
whichever hub listens at the address then; a hub stores each batch once, as far as it remembers or its log
tells.
"""

from parsl_diaspora.fabric.relay.fabric import RelayFabric
from parsl_diaspora.fabric.relay.hub import Hub
from parsl_diaspora.fabric.relay.keys import make_keys
from parsl_diaspora.fabric.relay.orders import Ticket
from parsl_diaspora.fabric.relay.publisher import RelayPublisher

__all__ = ["Hub", "RelayFabric", "RelayPublisher", "Ticket", "make_keys"]
