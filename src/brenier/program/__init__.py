"""Programs: functions of arrays, compiled once for each shape and kept between processes.

`call` is the decorator and holds the programs in use, `key` says what a compiled program depends
on, `kept` is the folder where they lie; `cores` says how many cores there are to run them,
`process` in which process, `devices` how several devices share rows, and `processes` how several
processes do.
"""

from brenier.program.call import program
from brenier.program.cores import n_cores
from brenier.program.process import check_process, is_one_of_several

__all__ = ["check_process", "is_one_of_several", "n_cores", "program"]
