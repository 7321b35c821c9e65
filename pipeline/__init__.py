"""Corpora in, staged WebDataset shards out. Knows neither Prefect nor the model."""
