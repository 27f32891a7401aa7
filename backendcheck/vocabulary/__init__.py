"""Names and values that all rooms share: backends, oracles, observations, case ids, shards, faults."""
