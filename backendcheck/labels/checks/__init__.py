"""The labels of one output in, findings out: modules by group of rules, L1 to L7."""
