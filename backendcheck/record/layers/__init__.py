"""A model in, the calls of its layers out, replayed with the inputs of another backend."""
