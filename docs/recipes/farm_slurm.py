"""A farm on SLURM: run this on a login node, and backendcheck with the address that it prints. Ctrl-C ends the jobs."""

import signal

from dask_jobqueue import SLURMCluster

NETWORK = "eth0"  # the interface at which login node and jobs reach each other
LEGS = ["tensorflow", "jax", "torch"]  # what is installed in the environment of the jobs

cluster = SLURMCluster(
    cores=1,  # a recording at a time in each job
    processes=1,
    memory="8GB",
    job_cpu=4,
    walltime="02:00:00",
    worker_extra_args=["--resources", "'" + " ".join(f"{leg}=1" for leg in LEGS) + "'"],
    interface=NETWORK,
    scheduler_options={"dashboard_address": "127.0.0.1:0"},
)

if __name__ == "__main__":
    cluster.adapt(minimum_jobs=1, maximum_jobs=16)
    print(f"backendcheck run --farm {cluster.scheduler_address}")
    signal.pause()
