"""What schemathesis cannot make up: ids and times of the studio under test, put where a body has some of its own.

Loaded by schemathesis itself (SCHEMATHESIS_HOOKS). Only well-formed values are replaced, so that what is wrong about
a body stays wrong.
"""

import json
import os
import random
from typing import Any

import schemathesis

KNOWN: dict[str, list[str]] = json.loads(os.environ.get("HOLDFAST_KNOWN", "{}"))
_CHANCE = random.Random(9)


@schemathesis.hook
def map_body(context: object, body: Any) -> Any:
    """Half of the bodies name what there is."""
    if isinstance(body, dict) and _CHANCE.random() < 0.5:
        slot = _CHANCE.randrange(len(KNOWN["start"])) if KNOWN else 0
        for name, values in KNOWN.items():
            field = {"newStart": "start", "newEnd": "end"}.get(name, name)
            value = body.get(name)
            if isinstance(value, str) and 0 < len(value) <= 100 and (field not in {"start", "end"} or "T" in value):
                body = body | {name: values[slot % len(values)]}
    return body
