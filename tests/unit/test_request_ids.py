"""Each answer has an id of its own, though ids are drawn many at once."""

import re
from concurrent.futures import ThreadPoolExecutor

from service.answering.request_ids import DRAWN, new_request_id


def test_no_id_is_given_twice_also_not_to_two_threads() -> None:
    n = 20 * DRAWN + 1
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: new_request_id(), range(n)))
    assert len(set(found)) == n
    assert all(re.fullmatch("[0-9a-f]{24}", one) for one in found)
