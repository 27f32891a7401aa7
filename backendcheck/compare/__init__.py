"""Two recordings in, comparisons out: arrays within tolerances, then the oracles one by one."""
