"""The page on which a merchandiser looks at what customers see.

It holds no data: its script asks for that with the key that is typed in, and stores neither.
"""

from pathlib import Path

from flask import Flask, Response

from service.routes.docs_page import HEADERS, hash_source

FOLDER = Path(__file__).parent / "preview"


def register_preview(app: Flask) -> None:
    """Add the page to the operator's app, under headers that let it load nothing but pictures."""
    html, style, script = (
        (FOLDER / name).read_text("utf-8") for name in ("page.html", "page.css", "page.js")
    )
    page = html.replace("/* page.css */", style).replace("/* page.js */", script)
    policy = (
        f"default-src 'none'; script-src {hash_source(script.encode())}; "
        f"style-src {hash_source(style.encode())}; img-src https:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {**HEADERS, "Content-Security-Policy": policy}

    @app.get("/preview", endpoint="preview")
    def preview() -> Response:
        return Response(page, headers=headers, content_type="text/html; charset=utf-8")
