"""Decisions: filters, safety, duplicates, splits. Every drop has a reason, and the numbers add up."""
