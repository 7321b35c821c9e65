"""How good a model is: retrieval in both directions, beside chance and the model that never learned."""
