"""Corpora in: one module per engine, all emitting the raw shard layout of `pipeline.acquire.raw`."""
