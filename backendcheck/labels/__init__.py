"""The label contract: what is wrong with labels, said before training."""
