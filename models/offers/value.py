"""What an offer is worth with one customer: what it adds over what they buy anyway, less its cost.

Of single numbers, or of arrays of one shape.
"""

from models.arrays import FloatArray


def expected_value[N: (float, FloatArray)](added: N, cost: N, margin: N) -> N:
    """In the shop's currency, for one redemption at most; below 0 where it costs more than it brings.

    Whoever redeems buys one piece and takes the discount. With the chance `anyway` they had bought it without
    the offer too: then it brings no margin and still costs the discount.

    Args:
        added: purchases, as `uplift` has them.
        cost: as `expected_cost` has it.
        margin: of one piece, before the discount.
    """
    return added * margin - cost


def expected_cost[N: (float, FloatArray)](probability: N, discount: N) -> N:
    """What an offer is expected to cost the shop, however much it adds: its discount, if it is redeemed.

    Args:
        probability: of redeeming.
        discount: of one redemption.
    """
    return probability * discount


def uplift[N: (float, FloatArray)](probability: N, anyway: N) -> N:
    """Purchases that the offer adds: those who redeem and had not bought.

    Args:
        probability: of redeeming.
        anyway: chance of buying one of the offer's products within its time without the offer.
    """
    return probability * (1 - anyway)
