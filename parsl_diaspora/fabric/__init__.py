"""How events travel: fabrics, named by URL.

    file:./events              the embedded log: a directory, one file per writing process
    memory: memory:name        inside this process, for tests and notebooks
    relay:HOST:PORT?key=FILE   to a site's hub, for nodes that cannot reach the fabric
    mofka:/path/group.json     a running Mofka server, through the Diaspora stream API
    files+diaspora:/dir        the stream API's own file driver
    spool:/dir?to=URL          any of the others behind a local log: store and forward

More backends come from other packages through the entry-point group ``parsl_diaspora.fabrics``, whose names
are URL schemes and whose values are callables that take the URL.
"""

from parsl_diaspora.fabric.protocols import Consumer, Fabric, FlushReport, Publisher, Start
from parsl_diaspora.fabric.registry import open_fabric

__all__ = ["Consumer", "Fabric", "FlushReport", "Publisher", "Start", "open_fabric"]
