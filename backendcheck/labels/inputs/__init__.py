"""Labels as the user has them in, numbers with their task out."""
