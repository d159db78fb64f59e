"""What all rooms share: names for the types of arrays, how long a day is, and the row of nothing."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

type IntArray = NDArray[np.int32]
type LongArray = NDArray[np.int64]
type AnyIntArray = NDArray[np.integer]
type FloatArray = NDArray[np.float32]
type DoubleArray = NDArray[np.float64]
type BoolArray = NDArray[np.bool_]
type AnyArray = NDArray[Any]

DAY_S = 86_400
DAY_MS = 1000 * DAY_S
NONE = -1  # a row where there is none
