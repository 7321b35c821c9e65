"""Towers: one for pictures, one for captions."""
