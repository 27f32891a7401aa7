"""Results in, the values that all report formats show out."""
