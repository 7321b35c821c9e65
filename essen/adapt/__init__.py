"""Parameter-efficient tuning: which weights of a model learn and which stand still."""
