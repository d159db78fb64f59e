"""The part of a page that a benchmark writes: what stands between the two marks of its name."""


def put_between(text: str, name: str, part: str) -> str:
    """`text` with `part` in the place of what is between the two marks of this name.

    Raises:
        SystemExit: the marks aren't there.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if begin not in text or end not in text:
        raise SystemExit(f"the page has no {begin} and {end}: write them where the tables belong")
    return f"{text[: text.index(begin)]}{begin}\n\n{part}\n\n{text[text.index(end) :]}"
