"""What may go wrong, many times over: `python -m benchmarks.robustness`.

Processes killed while they write, files altered at random. Nothing may be broken, raise what is
not meant for users, hang, or fill the memory.
"""
