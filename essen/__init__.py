"""Staged shards in, a trained and evaluated two-tower model out. Knows neither Prefect nor acquisition."""
