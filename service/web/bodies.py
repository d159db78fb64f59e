"""JSON in bodies: of requests within limits (size, depth, no value twice, no NaN), and of answers."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NoReturn

from flask import Request, Response, current_app
from werkzeug.exceptions import RequestEntityTooLarge

from service.errors import RefusedError
from service.web.parameters import check_no_query
from service.web.problems import BODY_WAS_READ
from service.web.slow_bodies import NAME

MAX_DEPTH = 8
HEADERS = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


class _DoubledError(ValueError):
    """A name stands twice in an object."""


def read_json(request: Request, max_bytes: int) -> object:
    """What a body holds, on a route that has no query.

    Raises:
        RefusedError: there is a query, or the body has no length, is too large, or isn't JSON as the routes
            take it.
    """
    check_no_query(request.query_string)
    return parse_json(read_bytes(request, max_bytes, ("application/json", "")))


def write_json(content: object) -> Response:
    """A 200 that no cache keeps."""
    return Response(json.dumps(content), 200, HEADERS, content_type="application/json")


def read_bytes(request: Request, max_bytes: int, types: Sequence[str]) -> bytes:
    """A body as it is.

    Args:
        types: of content, the one to name first; empty for a body that doesn't say what it is.
    Raises:
        RefusedError: it has no length, is too large, of another type, or was cut off.
    """
    if request.content_length is None:
        raise RefusedError("length_required", None, "send a Content-Length; chunked bodies are not taken")
    if request.content_length > max_bytes:
        raise RefusedError("too_large", None, f"a body may have {max_bytes} bytes at most")
    if request.mimetype not in types:
        raise RefusedError("unsupported_type", None, f"a body must be {types[0]}")
    if request.content_encoding not in (None, "identity"):
        raise RefusedError("unsupported_type", None, "a body must come as it is, without a Content-Encoding")
    request.max_content_length = max_bytes
    slow_bodies = current_app.extensions.get(NAME)
    awaited = slow_bodies.waiting_for(request.remote_addr) if slow_bodies else nullcontext()
    try:
        with awaited:
            body = request.get_data(cache=False)
    except RequestEntityTooLarge as err:
        raise RefusedError("too_large", None, f"a body may have {max_bytes} bytes at most") from err
    if len(body) < request.content_length:  # the server gives what came; half a file of rules is one, too
        raise RefusedError("bad_body", None, f"cut off after {len(body)} of {request.content_length} bytes")
    request.environ[BODY_WAS_READ] = True
    return body


def parse_json(body: bytes) -> object:
    """The value that stands for these bytes.

    Raises:
        RefusedError: no JSON in UTF-8, deeper than MAX_DEPTH, a name twice in an object, or NaN.
    """
    try:
        value = json.loads(body.decode(), parse_constant=_no_number, object_pairs_hook=_once)
    except _DoubledError:
        raise RefusedError("bad_body", None, "a name stands twice in one object") from None
    except RecursionError:
        raise RefusedError("bad_body", None, _too_deep()) from None
    except ValueError:  # of the decoder, of the parser, or of a number with thousands of digits
        raise RefusedError("bad_body", None, "not JSON in UTF-8") from None
    if not _is_shallow(value, MAX_DEPTH):
        raise RefusedError("bad_body", None, _too_deep())
    return value


def _too_deep() -> str:
    return f"nested deeper than {MAX_DEPTH} levels"


def _no_number(_: str) -> NoReturn:
    raise ValueError  # NaN and Infinity are no JSON, whatever Python thinks


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DoubledError
    return found


def _is_shallow(value: object, left: int) -> bool:
    """Whether a value has at most `left` levels of lists and objects."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return True
    return left > 0 and all(_is_shallow(part, left - 1) for part in value if isinstance(part, dict | list))
