"""Encoded pictures: whether they can be used, and what has to change."""
