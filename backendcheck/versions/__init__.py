"""Legs of two versions in, what changes between them out."""
