"""``octopus:``: events on Octopus, the managed Kafka of the Diaspora project behind Globus Auth.

    octopus:NAMESPACE/PREFIX?option=value&...

url.py       the URL and its options; names of topics
keys.py      the key of a user: made once, kept in a file of mode 0600, or given by the environment
service.py   the web service, by the SDK's client: login, key, topics
access.py    which of these serves; tokens for the brokers
kafka.py     by Kafka's own protocol: the client of ``kafka:`` with those tokens
rest.py      by HTTPS alone: sending; rest_reader.py: reading, rest_cluster.py: topics and offsets
fabric.py    the three together

Publisher, consumer, order and layout are those of ``kafka:``; a topic has one partition. Topics and the key
are made where somebody is logged in, never on nodes: those read the key's file and speak Kafka's protocol.
"""

from parsl_diaspora.fabric.octopus.fabric import OctopusFabric

__all__ = ["OctopusFabric"]
