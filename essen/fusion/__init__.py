"""Fusion: the towers' tokens look at each other."""
