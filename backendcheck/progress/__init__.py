"""Events of recording processes in, progress on a terminal or in a notebook out."""
