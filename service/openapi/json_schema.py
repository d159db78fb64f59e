"""Pieces of JSON Schema that all parts of the API's description are made of."""

from typing import Any

type Json = dict[str, Any]

TEXT: Json = {"type": "string"}
MAYBE_TEXT: Json = {"type": ["string", "null"]}
MAYBE_NUMBER: Json = {"type": ["number", "null"]}
# Said aloud, since makers of clients read an object that says nothing as one that holds nothing.
ANY_OBJECT: Json = {"type": "object", "additionalProperties": True}


def exactly(**properties: Any) -> Json:
    """An object that has all of these properties and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def ref(name: str) -> Json:
    """A schema of this name, which stands among the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def as_json(schema: str) -> Json:
    """Content of a body that is a schema of this name."""
    return {"application/json": {"schema": ref(schema)}}


def as_body(schema: str, example: Json) -> Json:
    """A body that must be there and is a schema of this name.

    Args:
        example: what /docs fills in; without one it makes something up, such as a price of a billion.
    """
    return {"required": True, "content": {"application/json": {"schema": ref(schema), "example": example}}}
