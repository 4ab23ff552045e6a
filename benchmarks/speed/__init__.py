"""How fast brenier must be, and how fast it is: `python -m benchmarks.speed`.

Every measurement runs in new processes. Parents only start them and read their clocks; jobs, in
modules named by what they measure, run in the children. `python -m benchmarks.speed --table` prints
what has been measured so far.
"""
