"""A judgement as a page that fetches nothing, and as JSON."""

import json
from dataclasses import asdict

from markupsafe import Markup

from experiments.judgement import Judgement
from experiments.reports.pictures import pictures
from experiments.reports.words import bound, moment, number, probability, side, signed
from storage.page import page, without_nan
from storage.svg import COLOURS


def to_json(found: Judgement) -> str:
    """Everything, under the names of `judgement`; what is infinite or unknown is null."""
    content = asdict(found) | {"now": found.now.isoformat()}
    return json.dumps(without_nan(content), indent=1) + "\n"


def to_html(found: Judgement) -> str:
    """One page, with its pictures inside."""
    return page(
        "experiments.reports/experiment.html.j2",
        "UTC",
        found=found,
        pictures=[(caption, Markup(svg)) for caption, svg in pictures(found)],  # noqa: S704  # drawn from numbers here  # nosec B704
        colours=COLOURS,
        number=number,
        signed=signed,
        probability=probability,
        bound=bound,
        moment=moment,
        side=side,
    )
