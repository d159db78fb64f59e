"""What an offer is worth with one customer: what it adds over what they buy anyway, less its cost."""


def expected_value(probability: float, anyway: float, margin: float, discount: float) -> float:
    """In the shop's currency, for one redemption at most; below 0 where it costs more than it brings.

    Whoever redeems buys one piece and takes the discount. With the chance `anyway` they had bought it without
    the offer too: then it brings no margin and still costs the discount.

    Args:
        probability: of redeeming.
        anyway: chance of buying one of the offer's products within its time without the offer.
        margin: of one piece, before the discount.
        discount: of one redemption.
    """
    return probability * (1 - anyway) * margin - probability * discount  # `uplift` and `expected_cost`


def expected_cost(probability: float, discount: float) -> float:
    """What an offer is expected to cost the shop, however much it adds: its discount, if it is redeemed."""
    return probability * discount


def uplift(probability: float, anyway: float) -> float:
    """Purchases that the offer adds: those who redeem and had not bought."""
    return probability * (1 - anyway)
