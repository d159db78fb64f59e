"""Which purchase explains a candidate, in one byte: a place in its customer's history.

Of a version it is the largest file but one, so two bytes for each would be felt.
"""

import numpy as np
from numpy.typing import NDArray

NO_EVIDENCE = 255
ITSELF = 254
"""The product itself was bought, further back than a byte can tell: where, has to be looked for."""


def in_bytes(places: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Evidence as a version keeps it.

    Args:
        places: in the customers' histories, -1 for none; from ITSELF on only of products that were bought.
    Returns:
        the same shape; places below ITSELF as they are, else ITSELF or NO_EVIDENCE.
    """
    return np.where(places < 0, NO_EVIDENCE, np.minimum(places, ITSELF)).astype(np.uint8)
