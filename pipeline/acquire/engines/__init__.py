"""Where corpora come from: an engine is a module with `rows`, `params` and `availability`."""
