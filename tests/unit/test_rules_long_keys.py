"""No file of rules keeps the operator's listener busy by keys of very many parts."""

import time

import pytest

from service.rules.errors import BadRulesError
from service.rules.long_keys import MOST_PARTS, has_long_key
from service.rules.reading import parse_rules

MANY = ["a"] * (MOST_PARTS + 1)
LONG = ".".join(MANY)
RULE = 'schema = 1\n[[rules]]\nid = "a"\nkind = "block"\nproducts = ["milk"]\n'


@pytest.mark.parametrize(
    "said",
    [
        *(
            f"{LONG} = 1",
            f"[{LONG}]",
            f"[[{LONG}]]",
            f"b = [{{ c = 1, {LONG} = 1 }}]",
            " . ".join(MANY) + "=1",
        ),
        *('"x.y".' + LONG + " = 1", "'#'." + LONG + ' = "#"', f'x = """"a"""""\n{LONG} = 1', LONG + '."b"=1'),
        *(f"x = '''\n'''''\n{LONG} = 1", f'x = "\\\\" # "\n{LONG} = 1', f"x = '\\'\n{LONG} = 1"),
        '"".' * MOST_PARTS + "a = 1",
    ],
)
def test_a_key_of_more_parts_is_refused_wherever_it_stands(said: str) -> None:
    with pytest.raises(BadRulesError, match=f"a key has more than {MOST_PARTS} parts"):
        parse_rules(f"schema = 1\n{said}\n")


@pytest.mark.parametrize(
    "note",
    [
        *(f'"{LONG}"', f"'{LONG}'", f'"""\n{LONG}\n"""', f"'''\n{LONG}'''", f'"a" # {LONG}'),
        *(f'"\\" {LONG}"', f'""" \\""" {LONG} """', f'""" "" {LONG} """""', f"'''' {LONG}'''"),
    ],
)
def test_dots_of_texts_and_comments_are_no_key(note: str) -> None:
    assert len(parse_rules(f"{RULE}note = {note}\n").rules) == 1


def test_as_many_parts_are_a_mistake_like_any_other() -> None:
    with pytest.raises(BadRulesError, match="there is no such key"):
        parse_rules(f"schema = 1\n{'.'.join(MANY[1:])} = 1\n")


@pytest.mark.parametrize(
    "piece",
    ['"', "'", '"""', "'''", '\\"""', "a", "a.", "a ", ".", "#", '"\\', "a" * 31 + ".", "a .\t", "''''"],
)
@pytest.mark.parametrize("end", ["", "\\", "\n"])
def test_to_look_takes_time_in_proportion_to_the_text(piece: str, end: str) -> None:
    text = piece * (300_000 // len(piece)) + end
    start_s = time.process_time()
    has_long_key(text)
    assert time.process_time() - start_s < 2  # what looks at each end from each place takes a minute
