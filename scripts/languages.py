"""Brings the catalogues of reasons up to the messages in the code, and compiles them: `make languages`.

A message that is new stands there without a translation, which a test refuses; one that is gone goes.
The same code and translations give the same bytes, whoever runs it and when.
"""

from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from service.answering.languages import CATALOGUES, DOMAIN, ENGLISH, LANGUAGES

SOURCE = Path("service/answering/reasons.py")
HEADER = f"# Reasons: the translations are edited here. `make languages` does the rest, {DOMAIN}.mo too."


class Plain(Catalog):
    """A catalogue that doesn't say when it was made, by whom and by what. Plural forms are those of CLDR."""

    @property  # type: ignore[misc]  # nobody sets it
    def mime_headers(self) -> list[tuple[str, str]]:
        return [
            ("Language", str(self.locale)),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Transfer-Encoding", "8bit"),
            ("Plural-Forms", self.plural_forms),
        ]


def main() -> None:
    for language in LANGUAGES:
        if language != ENGLISH:
            path = po_of(language)
            catalogue = brought_up(path, language)
            path.write_bytes(as_po(catalogue))
            path.with_suffix(".mo").write_bytes(as_mo(catalogue))


def po_of(language: str) -> Path:
    """Where a language's translations are."""
    return CATALOGUES / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def brought_up(path: Path, language: str) -> Catalog:
    """The messages of the code, in their order, with the translations that there are."""
    with path.open("rb") as file:
        before = read_po(file, locale=language, domain=DOMAIN)
    catalogue = Plain(locale=language, domain=DOMAIN, header_comment=HEADER, fuzzy=False)
    for _, message, comments, _ in extract_from_file("python", SOURCE, comment_tags=["Translators"]):
        known = before.get(message if isinstance(message, str) else message[0])
        catalogue.add(message, known.string if known else None, auto_comments=comments)
    return catalogue


def as_po(catalogue: Catalog) -> bytes:
    buffer = BytesIO()
    write_po(buffer, catalogue, width=0)
    return buffer.getvalue()


def as_mo(catalogue: Catalog) -> bytes:
    buffer = BytesIO()
    write_mo(buffer, catalogue)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
