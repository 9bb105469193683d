"""The web service: Globus Auth's two routes, the v3 API for keys, topics and records, the v2 consumers."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.services.octopus.instances import ApiError, Instances
from tests.waiting import until

RESOURCE_SERVER = "2b9d2f5c-fa32-45b5-875b-b24cd343b917"
TOPIC = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{1,30})[A-Za-z0-9]")


class OctopusService:
    """A web service for one user, which makes topics on a broker.

    Args:
        broker: a real one, of tests.services.kafka.

    Attributes:
        requests: method and path of all that was asked.
        delay: seconds until a new topic appears.
        refuse: reason with which all management routes answer an error, with HTTP status 200.
        throttle: so many of the next requests to produce are answered with 429.
        fail: so many of the next requests to produce are answered with 500 after the records were written.
        reject: numbers of records of the next batch that fail, with the number of an error.
        never: text in records that are too large, as the service says.
    """

    def __init__(self, broker):
        self.broker = broker
        self.subject = str(uuid.uuid4())
        self.namespace = f"ns-{self.subject.replace('-', '')[-12:]}"
        self.access_key, self.secret_key = f"AKIA{uuid.uuid4().hex[:16].upper()}", uuid.uuid4().hex
        self.token = uuid.uuid4().hex
        self.endpoint = broker.address()
        self.requests = []
        self.delay, self.refuse, self.throttle, self.fail, self.reject, self.never = 0.0, "", 0, 0, {}, ""
        self.short = False  # topics of consumers are named without the namespace
        self.keys_made = 0
        self.topics = {}
        self.instances = Instances(broker.address())
        self._going = threading.Event()
        self._going.set()
        self._admin = AdminClient({"bootstrap.servers": broker.address(), "log_level": 0})
        self._producer = Producer({
            "bootstrap.servers": broker.address(),
            "message.timeout.ms": 3000,
            "linger.ms": 0,
            "log_level": 0,
            "topic.metadata.refresh.fast.interval.ms": 20,
        })  # fmt: skip
        self._port = 0
        self.start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self._port}"

    def url(self, prefix=None, **options):
        """A URL of a fabric under which nothing was published, or the one with the prefix."""
        options = {"security": "plaintext", **options}
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"octopus:{self.namespace}/{prefix or uuid.uuid4().hex[:12]}?{query}"

    def start(self):
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.service = self
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="octopus-stand-in", daemon=True
        )
        self._thread.start()

    def stop(self):
        """As when it is deployed: nobody listens, and the instances are gone."""
        self._server.shutdown()
        self._server.end_connections()
        self._server.server_close()
        self._thread.join(5)
        self.instances.drop_all()

    def freeze(self):
        self._going.clear()

    def thaw(self):
        self._going.set()

    def reset(self):
        """What a test has changed is as before."""
        self.thaw()
        self.delay, self.refuse, self.throttle, self.fail, self.reject, self.never = 0.0, "", 0, 0, {}, ""
        self.short = False
        self.endpoint = self.broker.address()
        self.keys_made = 0
        self.requests.clear()
        if not self._thread.is_alive():
            self.start()
        self.instances.drop_all()

    def close(self):
        self.thaw()
        if self._thread.is_alive():
            self.stop()

    # --- what is asked ---

    def answer(self, method, path, query, body, headers):
        """Status and document."""
        self._going.wait(30)
        self.requests.append((method, path))
        if path == "/v2/oauth2/token":
            return 200, self._tokens()
        authorized = headers.get("Authorization") == f"Bearer {self.token}"
        if path.startswith("/api/v3/") and "/records" not in path:
            if self.refuse or not authorized:
                return 200, {"status": "error", "reason": self.refuse or "the token is not valid"}
            return 200, self._manage(method, path.split("/")[3:])
        if not authorized:
            raise ApiError(401, 40101, "the token is not valid")
        if path == "/v2/oauth2/userinfo":
            return 200, {"sub": self.subject}
        if headers.get("Subject") != self.subject:
            raise ApiError(403, 40301, "that is another user")
        if path.startswith("/api/v3/"):
            _, _, _, namespace, _, topic, _ = path.split("/")
            return 207, self._produce(namespace, topic, body["entries"])
        if path.startswith("/api/v2/consumers/"):
            return self._consume(method, path.split("/")[4:], query, body, headers)
        raise ApiError(404, 40401, "no such route")

    def _tokens(self):
        def one(server, scope):
            return {
                "access_token": self.token,
                "resource_server": server,
                "scope": scope,
                "expires_in": 172800,
                "token_type": "Bearer",
            }

        scope = f"https://auth.globus.org/scopes/{RESOURCE_SERVER}/action_all"
        return {**one(RESOURCE_SERVER, scope), "other_tokens": [one("auth.globus.org", "openid")]}

    def _manage(self, method, place):
        if place == ["key"] and method == "POST":
            self.keys_made += 1
            return {
                "status": "success",
                "access_key": self.access_key,
                "secret_key": self.secret_key,
                "endpoint": self.endpoint,
                "fresh": self.keys_made == 1,
            }
        if place == ["namespace"]:
            now = time.monotonic()
            return {
                "status": "success",
                "namespaces": {self.namespace: [name for name, at in self.topics.items() if at <= now]},
            }
        namespace, topic = place
        if namespace != self.namespace or not TOPIC.fullmatch(topic):
            return {"status": "failure", "message": f"{namespace}/{topic} is no name of yours"}
        if topic not in self.topics:
            self._make(topic)
        return {"status": "success", "topics": list(self.topics)}

    def _make(self, topic):
        self.topics[topic] = time.monotonic() + self.delay

        def make():
            self._admin.create_topics([NewTopic(f"{self.namespace}.{topic}", 1, 1)])

        if self.delay:
            threading.Timer(self.delay, make).start()
            return
        for made in self._admin.create_topics([NewTopic(f"{self.namespace}.{topic}", 1, 1)]).values():
            made.result(20)

    def delete_topics(self):
        """All topics of the user are gone."""
        names = [f"{self.namespace}.{name}" for name in self.topics]
        for gone in self._admin.delete_topics(names).values():
            gone.result(20)
        until(lambda: not self._admin.list_topics(timeout=20).topics.keys() & set(names))
        self.topics.clear()

    def _produce(self, namespace, topic, entries):
        if len(entries) > 500:
            raise ApiError(400, 40002, "at most 500 records")
        if self.throttle:
            self.throttle -= 1
            raise ApiError(429, 42901, "too many requests")
        if namespace != self.namespace or topic not in self.topics:
            raise ApiError(404, 40401, "no such topic")
        reject, self.reject = self.reject, {}
        successes, failures = [], []
        for number, entry in enumerate(entries):
            never = 41302 if self.never and self.never in entry["value"]["data"] else 0
            if code := reject.get(number, never):
                failures.append({"id": entry["id"], "error_code": code, "message": "refused"})
            else:
                self._write(f"{namespace}.{topic}", entry, successes, failures)
        left = self._producer.flush(10)
        if left or self.fail:
            self.fail = max(0, self.fail - 1)
            raise ApiError(500, 50002, "nobody knows")
        return {"successes": successes, "failures": failures}

    def _write(self, topic, entry, successes, failures):
        def done(error, message):
            if error is None:
                successes.append({"id": entry["id"], "topic_name": topic, "offset": message.offset()})
            else:
                failures.append({"id": entry["id"], "error_code": 50302, "message": error.str()})

        headers = [(each["name"], base64.b64decode(each["value"])) for each in entry.get("headers", [])]
        try:
            self._producer.produce(
                topic, _data(entry.get("value")), _data(entry.get("key")), headers=headers, on_delivery=done
            )
        except (KafkaException, BufferError) as error:
            raise ApiError(503, 50302, str(error)) from error
        self._producer.poll(0)

    def _consume(self, method, place, query, body, headers):
        group = f"{self.namespace}.{place[0]}"
        if len(place) == 1:
            name = self.instances.make(group, body)
            base = f"{self.address}/api/v2/consumers/{place[0]}/instances/{name}"
            return 200, {"instance_id": name, "base_uri": base}
        name, route = place[2], "/".join(place[3:])
        if method == "DELETE" and not route:
            self.instances.drop(group, name)
            return 204, None
        body = self._qualified(body)
        status, document = self.instances.use(
            group, name, lambda one: _work(one, (method, route), query, body, headers.get("Accept", ""))
        )
        return status, self._shortened(document)

    def _qualified(self, body):
        """Names of topics as the broker knows them: short ones get the namespace, whatever they are."""
        if not self.short:
            return body
        named = {name: [{**each, "topic": f"{self.namespace}.{each['topic']}"} for each in listed]
                 for name, listed in body.items() if name in ("partitions", "offsets")}  # fmt: skip
        return {**body, **named}

    def _shortened(self, document):
        if not self.short or document is None:
            return document
        if isinstance(document, list):
            return [{**each, "topic": each["topic"].removeprefix(f"{self.namespace}.")} for each in document]
        return {name: self._shortened(listed) for name, listed in document.items()}


def _work(one, asked, query, body, accept):
    method, route = asked
    if (method, route) == ("GET", "records"):
        if accept != f"application/vnd.kafka.{one.format}.v2+json":
            raise ApiError(406, 40601, "another format was asked for")
        wait, most = int(query.get("timeout", 5000)), int(query.get("max_bytes", 1_000_000))
        return 200, one.fetch(min(wait, 30_000) / 1000, most)
    if (method, route) == ("GET", "offsets"):
        found = one.committed(_parts(body["partitions"]))
        return 200, {"offsets": [_offset(part, at) for part, at in found.items()]}
    if (method, route) == ("GET", "assignments"):
        parts = one.assignment()
        return 200, {"partitions": [{"topic": topic, "partition": number} for topic, number in parts]}
    if route == "subscription":
        one.subscribe(body["topics"])
    elif route == "assignments":
        one.assign(_parts(body["partitions"]))
    elif route == "offsets":
        one.commit(None if not body else _offsets(body["offsets"]))
    elif route == "positions":
        one.seek(_offsets(body["offsets"]))
    elif route in ("positions/beginning", "positions/end"):
        where = OFFSET_END if route.endswith("end") else OFFSET_BEGINNING
        one.seek_to(_parts(body["partitions"]), where)
    else:
        raise ApiError(404, 40401, "no such route")
    return 204, None


def _parts(listed):
    return [(each["topic"], each["partition"]) for each in listed]


def _offsets(listed):
    return {(each["topic"], each["partition"]): each["offset"] for each in listed}


def _offset(part, at):
    return {"topic": part[0], "partition": part[1], "offset": at, "metadata": ""}


def _data(given):
    if given is None:
        return None
    kind, data = given["type"], given["data"]
    if kind == "BINARY":
        return base64.b64decode(data)
    return data.encode() if kind == "STRING" else json.dumps(data, separators=(",", ":")).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    service: OctopusService

    def __init__(self, *arguments):
        self._open = set()
        super().__init__(*arguments)

    def process_request(self, request, client_address):
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self):
        for request in list(self._open):
            self.shutdown_request(request)

    def handle_error(self, request, client_address):
        """A client that has gone is nothing to tell."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *arguments):
        pass

    def _serve(self):
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            is_json = "json" in self.headers.get("Content-Type", "")
            body = json.loads(raw) if raw and is_json else {}
            path = unquote(parts.path)
            status, document = self.server.service.answer(self.command, path, query, body, self.headers)
        except ApiError as error:
            status, document = error.status, {"error_code": error.code, "message": error.message}
        except KafkaException as error:
            status, document = 503, {"error_code": 50302, "message": str(error)}
        self._send(status, document)

    def _send(self, status, document):
        data = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        if data:
            kind = "vnd.kafka.v2+json" if "/v2/c" in self.path else "json"
            self.send_header("Content-Type", f"application/{kind}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - as the library calls them
