"""Recording on more than one machine: a leg in chunks on the workers of a Dask cluster, joined here. Imports no backend."""
