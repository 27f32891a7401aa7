"""An observed case in, the variants of the paths and order oracles and the float64 reference of gradients out."""
