"""After how many days products and categories are bought again."""

import numpy as np

from models.arrays import FloatArray
from models.history.timeline import Timeline


def usual_intervals(timeline: Timeline) -> tuple[FloatArray, FloatArray]:
    """After how many days something is bought again.

    Returns:
        of each product, as `due` expects it of those who bought it once; and of each category the mean.
        float32; NaN where nobody bought the like again.
    """
    group, waits = timeline.interactions.catalogue.category_row, timeline.waits
    gap_product = timeline.product_row[waits.gap_unit]
    of, n_groups = group[gap_product], int(group.max(initial=-1)) + 1
    gaps, days = (np.bincount(of[of >= 0], weights, n_groups) for weights in (None, waits.gap_days[of >= 0]))
    of_group = np.where(gaps > 0, days / np.maximum(gaps, 1), np.nan).astype(np.float32)
    is_bought_again = np.bincount(gap_product, minlength=len(group)) > 0
    is_bought_again |= ~np.isnan(np.append(of_group, np.nan)[group])  # the last is of no category
    return np.where(is_bought_again, timeline.typical_days(), np.nan).astype(np.float32), of_group
