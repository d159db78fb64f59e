"""Refuses requests with more headers than anybody needs: each is read and kept while it is answered.

The server in front takes 128 KiB of head, of which the URL alone may be half.
"""

from collections.abc import Container, Iterable
from typing import TYPE_CHECKING

from werkzeug.datastructures import Headers

from service.access.cors import readable
from service.web.problems import problem

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MOST_BYTES = 16 * 1024  # of names and values


class Heads:
    """A WSGI app around another one, which sees short heads only.

    Args:
        origins: whose pages' scripts may read that a head was too long.
    """

    def __init__(self, app: "WSGIApplication", origins: Container[str] = ()) -> None:
        self._app, self._origins = app, origins

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        sizes = [len(name) - 5 + len(text) for name, text in environ.items() if name[:5] == "HTTP_"]
        if sum(sizes) > MOST_BYTES:
            refused = problem("headers_too_large", f"send at most {MOST_BYTES} bytes of them")
            if origin := environ.get("HTTP_ORIGIN"):
                refused.headers = Headers(readable(list(refused.headers), origin, self._origins))
            return refused(environ, start_response)
        return self._app(environ, start_response)
