"""The page to try the API on: Swagger UI from its package, under headers that let it load nothing else."""

import base64
import re
from hashlib import sha256

from flask import Blueprint, Response
from flask_swagger_ui import get_swaggerui_blueprint

INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def docs_page() -> Blueprint:
    """The blueprint at /docs."""
    page: Blueprint = get_swaggerui_blueprint(
        "/docs",
        "/openapi.json",
        config={
            "app_name": "nextbest",
            "oauth2RedirectUrl": "/docs/oauth2-redirect.html",
            "validatorUrl": None,  # else the page sends our address to a service of its makers
        },
        blueprint_name="docs_page",
    )
    page.after_request(_protected)
    return page


def _protected(response: Response) -> Response:
    response.headers.update(HEADERS)
    scripts = ["'self'"]
    if response.mimetype == "text/html" and not response.direct_passthrough:
        scripts += map(hash_source, INLINE_SCRIPT.findall(response.get_data()))
    response.headers["Content-Security-Policy"] = f"{POLICY}; script-src {' '.join(scripts)}"
    return response


def hash_source(script: bytes) -> str:
    """What a policy says of an inline script, or style, that may be."""
    return f"'sha256-{base64.b64encode(sha256(script).digest()).decode()}'"
