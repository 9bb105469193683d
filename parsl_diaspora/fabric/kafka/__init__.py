"""``kafka:``: events on an Apache Kafka cluster, or on what speaks its protocol.

    kafka://HOST:PORT[,HOST:PORT]/PREFIX?option=value&...

url.py        the URL, its options, and what of it may be shown
security.py   TLS and SASL; credentials from files, the environment or a function
layout.py     topics, keys, headers; an event as a record and back
clients.py    what a client library must do for us; which one serves
confluent.py  confluent-kafka: producer and reader; confluent_cluster.py: topics and positions,
              confluent_settings.py: what they are made with
python.py     kafka-python, where the other cannot be imported
faults.py     what went wrong: cause, remedy, and whether the record may be sent again
publisher.py  from the callers to the client
delivery.py   what becomes of it: the publisher's thread
order.py      the order of each publisher, over partitions and topics
consumer.py   reading from all partitions, with positions in a consumer group; start.py: where it begins
fabric.py     the three together

A consumer is one reader, not a member of a group that is balanced: it assigns all partitions to itself and
keeps its positions as the committed offsets of the group ``PREFIX.NAME``. So it never waits for a rebalance
(3 s and more), resumes anywhere, and the usual tools show its lag. Two processes that read under one name
read everything each.
"""

from parsl_diaspora.fabric.kafka.fabric import KafkaFabric

__all__ = ["KafkaFabric"]
