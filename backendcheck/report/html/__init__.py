"""Results in, one HTML page out."""
