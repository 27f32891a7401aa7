"""Labels of one output in, findings out: one module for each group of rules."""
