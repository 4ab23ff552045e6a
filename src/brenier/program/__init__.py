"""Programs: functions of arrays, compiled once for each shape and kept between processes.

`call` is the decorator and holds the programs in use, `key` says what a compiled program depends
on, `kept` is the folder where they lie.
"""

from brenier.program.call import program

__all__ = ["program"]
