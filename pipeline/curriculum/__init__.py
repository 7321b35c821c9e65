"""Order as an artefact: difficulty, stages, the order within them, and the controls without which no order counts."""
