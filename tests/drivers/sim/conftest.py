"""The observatory that the tests of the simulator stand on."""

from sim_bench import bench

__all__ = ["bench"]
