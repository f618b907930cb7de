"""The parts of `ci/bench`: processes, the measured proxies, the side-by-side run, the footprint, the report."""
