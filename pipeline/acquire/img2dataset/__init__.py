"""URL lists through img2dataset, in an environment of its own and behind a gateway."""
