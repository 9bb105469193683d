"""One real Apache Kafka broker for the tests, where Java and Maven are there.

jars.py          gets the jars by Maven into a cache outside of the repository
certificates.py  an authority and what it signs, by openssl
broker.py        starts, stops, kills, freezes and restarts the broker
fixtures.py      the fixtures of pytest
compose.yaml     a broker for people who have containers
"""
