"""A stand-in of the web service of Octopus, for the unmodified SDK, in front of a real Kafka broker.

service.py   the routes of Globus Auth, of the v3 API and of the v2 consumers
instances.py consumer instances, each with a consumer of the broker
fixtures.py  the fixtures of pytest

The SDK logs in with client credentials. Brokers of MSK check tokens that only AWS can check: here events go
over the broker's listener for plain text (`security=plaintext`), and that tokens are made and sent is seen at
the listener for SASL, which refuses them.
"""
