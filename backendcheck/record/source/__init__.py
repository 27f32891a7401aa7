"""A case function in, the source of a script that needs only Keras out."""
