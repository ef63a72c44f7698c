"""Explains a configuration fault to an owner: what pydantic found, as one plain sentence."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

#: What the patterns of settings and widgets ask for.
_FORMS = {
    r"^[a-z][a-z0-9_]{0,39}$": "made of small letters, digits and underscores, and begin with a letter",
    r"^[a-z0-9][a-z0-9-]{0,39}$": "made of small letters, digits and hyphens, 40 at most",
    r"^[a-z]{3}$": 'an ISO currency code in small letters, such as "eur"',
    r"^[A-Z]{2}$": 'a country in two capital letters, such as "SE"',
    r"^#[0-9a-f]{6}$": 'a color such as "#2f5d50"',
    r"^[\w\s,'\"-]*$": 'a CSS list of fonts, such as "Georgia, serif"',
}
_WHOLE, _TEXT, _YES_OR_NO = "must be a whole number", "must be text in quotes", "must be true or false"
_AMOUNT, _TABLE = 'must be an amount such as "65.00"', "must be a table"
#: By pydantic's type of fault; in braces what its `ctx` holds.
_SENTENCES = {
    "missing": "is missing",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "string_type": _TEXT,
    "bool_type": _YES_OR_NO,
    "bool_parsing": _YES_OR_NO,
    "tuple_type": "must be a list in square brackets",
    "decimal_type": _AMOUNT,
    "decimal_parsing": _AMOUNT,
    "decimal_max_digits": _AMOUNT,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "string_too_short": "needs at least {min_length} characters",
    "string_too_long": "must not be longer than {max_length} characters",
    "too_short": "needs at least {min_length}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
}


def explain(fault: Mapping[str, Any], name: str, known: Collection[str] = ()) -> str:
    """One of `ValidationError.errors()` about the setting `name`, such as "hold_minutes must be 60 or less".

    `known` are the settings there are, for a name that is none of them. A wrong value is not shown: it may be a secret.
    """
    kind, context = str(fault["type"]), fault.get("ctx", {})
    if kind == "extra_forbidden":
        near = get_close_matches(name.rpartition(".")[2], known, n=1)
        return f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else "")
    if kind == "string_pattern_mismatch":
        return f"{name} must be {_FORMS.get(context['pattern'], 'of the form ' + context['pattern'])}"
    if kind in _SENTENCES:
        return f"{name} {_SENTENCES[kind].format(**context)}".replace("'", '"')
    # Our own validators' sentences name what is wrong, and where they begin with a capital letter, the setting, too.
    sentence = str(fault["msg"]).removeprefix("Value error, ")
    return sentence if not name or re.match(r"[A-Z_]{4,} ", sentence) else f"{name} {sentence}"


def setting_path(steps: Sequence[str | int]) -> str:
    """Where in a table a fault is, such as `cancellation.at_least_hours`, without the steps that are pydantic's own."""
    return ".".join(step for step in steps if isinstance(step, str) and re.fullmatch(r"[a-z_]+", step))
