"""What a run has made, in the forms in which others look for it: data card, Croissant, credits, a training script."""
