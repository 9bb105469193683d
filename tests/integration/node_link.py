"""A process that stands for the supervisor of a node: it registers at the interchange, and beats.

python -m tests.integration.node_link ADDRESS PORT CERT_DIR MANAGER BLOCK NODE
"""

from __future__ import annotations

import pickle
import sys
import time

import parsl
import psutil
import zmq
from parsl import curvezmq


def main(arguments: list[str]) -> None:
    address, port, cert_dir, manager, block, node = arguments
    context = curvezmq.ClientContext(cert_dir or None)
    socket = context.socket(zmq.DEALER)
    socket.identity = f"node-{manager}".encode()
    socket.connect(f"tcp://{address}:{port}")
    socket.send(pickle.dumps({"type": "connection_probe"}))
    socket.recv()
    (connection,) = psutil.Process().net_connections(kind="tcp")
    socket.send(
        pickle.dumps(
            {
                "type": "registration",
                "uid": f"node-{manager}",
                "block_id": "diaspora-node",
                "start_time": time.time(),
                "worker_count": 0,
                "max_capacity": 0,
                "hostname": node,
                "parsl_v": parsl.__version__,
                "python_v": ".".join(map(str, sys.version_info[:3])),
                "packages": {},
                "supervises": manager,
                "real_block": block,
                "local": [connection.laddr.ip, connection.laddr.port],
                "events": [],
            }
        )
    )
    while True:
        time.sleep(1.0)
        socket.send(pickle.dumps({"type": "heartbeat"}))


if __name__ == "__main__":
    main(sys.argv[1:])
