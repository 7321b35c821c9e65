"""Staged shards: written with reproducible bytes, read by random access, verified against their manifest."""
