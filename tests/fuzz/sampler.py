"""Values made from a schema of the description: some that are valid by it, some that are nearly."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.openapi_answers import component

_TEXTS = [
    "a",
    "Ä",
    "e\u0301",
    "ﬁ",
    "漢字",
    "👋🏽",
    "\u202e",
    "\u00a0x",
    "-",
    '"',
    "\\",
    "\u2028",
    "\u0131",
]
_ZONES = ["Z", "+00:00", "-11:30", "+14:00"]
_OTHERS: list[Any] = [
    None, True, 0, -1, 1.5, 1e300, 10**30, "", " ", "\x00", "\ud800", "x" * 600, [], [[]], {},
    "0", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", {"id": None}, ["x"] * 101,
    ["\u0344" * 999],
]  # fmt: skip


class Sampler:
    """Makes values with one source of randomness, so that a seed says which."""

    def __init__(self, document: dict[str, Any], random: Random) -> None:
        self._document = document
        self._random = random

    def valid(self, schema: dict[str, Any]) -> Any:
        """A value that the schema takes, and what parses it as well."""
        if place := schema.get("$ref"):
            return self.valid(component(self._document, place))
        if alternatives := schema.get("oneOf"):
            return self.valid(self._random.choice(alternatives))
        if values := schema.get("enum"):
            return self._random.choice(values)
        if schema["type"] == "object":
            return {name: self.valid(value) for name, value in schema["properties"].items()}
        if schema["type"] == "array":
            number = self._random.choice([0, 1, 2, 3, 7, schema["maxItems"]])
            return [self.valid(schema["items"]) for _ in range(number)]
        return self._text(schema)

    def spoiled(self, value: Any) -> Any:
        """The same with one part of it missing, doubled or of another kind."""
        if isinstance(value, dict) and value and self._random.random() < 0.9:
            name = self._random.choice(list(value))
            without = {key: part for key, part in value.items() if key != name}
            return (
                without
                if self._random.random() < 0.2
                else without | {name: self._spoil(value[name])}
            )
        if isinstance(value, list) and value and self._random.random() < 0.8:
            place = self._random.randrange(len(value))
            return [*value[:place], self._spoil(value[place]), *value[place:]]
        return self._random.choice(_OTHERS)

    def _spoil(self, value: Any) -> Any:
        return (
            self.spoiled(value) if isinstance(value, dict | list) else self._random.choice(_OTHERS)
        )

    def _text(self, schema: dict[str, Any]) -> str:
        pick = self._random
        if schema.get("format") == "date-time":
            day = f"{pick.randint(2, 9998):04}-{pick.randint(1, 12):02}-{pick.randint(1, 28):02}"
            seconds = pick.choice(["59", "00", "07.25", "30.123456"])
            minute = f"{pick.randint(0, 23):02}:{pick.randint(0, 59):02}"
            return f"{day}T{minute}:{seconds}{pick.choice(_ZONES)}"
        longest = schema.get("maxLength", 3000)
        length = pick.choice([schema.get("minLength", 0), 1, 2, 9, 40, longest])
        # A letter first: names are trimmed, and are not to be empty then.
        text = "a" + "".join(pick.choice(_TEXTS) for _ in range(min(length, 200)))
        return text[:length] + "z" * (length - len(text))
