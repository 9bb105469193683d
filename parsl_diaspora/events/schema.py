"""The published JSON Schema of all kinds."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from parsl_diaspora.events.codec import AnyKind

SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 for one event in its JSON form, all kinds in one union told apart by ``kind``.

    Example:
        >>> "TaskEnded" in json_schema()["$defs"]
        True
    """
    (schema,), definitions = msgspec.json.schema_components([AnyKind], ref_template="#/$defs/{name}")
    for definition in definitions.values():
        definition["description"] = inspect.cleandoc(definition.get("description", ""))
    return {"$schema": SCHEMA_ID, "title": "parsl-diaspora event", **schema, "$defs": definitions}
