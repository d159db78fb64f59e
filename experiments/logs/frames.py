"""The two logs that an experiment is judged by, as tables: who was shown what, and what came of it."""

import polars as pl

IS_TRADE = pl.col("kind").is_in(["purchase", "return"])

EXPOSURES = pl.Schema(
    {
        "event_id": pl.String,  # of the exposure: the same one twice is one
        "request_id": pl.String,
        "at_ms": pl.Int64,
        "customer_id": pl.String,
        "experiment_id": pl.String,
        "version": pl.Int32,
        "spec_hash": pl.String,
        "layer": pl.String,
        "variant": pl.String,
        "is_forced": pl.Boolean,  # an operator asked for the variant: not analysed
        "model_version": pl.String,
        "is_fallback": pl.Boolean,  # the variant couldn't answer: the champion did
        "source": pl.String,
        "placement": pl.String,
        # JSON, by position: [product_id, score, propensity, team], null for what isn't. Of what was drawn by
        # lot a fifth follows: {"pool": {product_id: score}, "rivals": {model: product_id}}.
        "items": pl.String,
        "latency_ms": pl.Float64,
        "is_cached": pl.Boolean,
    }
)
"""One row for each answer to a customer in an experiment, and each of their experiments."""

OUTCOMES = pl.Schema(
    {
        "event_id": pl.String,
        "customer_id": pl.String,
        "kind": pl.String,  # purchase, return, click, view, cart, survey
        "at_ms": pl.Int64,
        "order_id": pl.String,
        "product_id": pl.String,
        "units": pl.Float64,  # of a return below 0
        "revenue": pl.Float64,  # of a return below 0; after discount
        "request_id": pl.String,  # of a click or view: the answer that it followed
        "position": pl.Int32,  # of a click, from 1
        "question": pl.String,  # of a survey: nps or ces
        "score": pl.Int32,
    }
)
"""One row for each thing that a customer did, before and after the first exposure."""
