"""Labels as the user has them in, numbers with their encoding and task out."""
