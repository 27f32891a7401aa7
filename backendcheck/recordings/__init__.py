"""Files in, recordings and legs out, and back: everything that a run leaves on disk."""
