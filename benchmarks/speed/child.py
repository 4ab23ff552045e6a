"""A job in a process of its own: `python -m benchmarks.speed.child MODULE.FUNCTION JSON FILE`.

Leaves what the function returns in FILE. Nothing is imported here but what the job needs, since
some measurements are of whole processes.
"""

import json
import sys
import warnings
from importlib import import_module
from pathlib import Path


def main() -> None:
    """Run the job that the command line names."""
    job, arguments, file = sys.argv[1:]
    module, function = job.split(".")
    warnings.simplefilter("ignore")
    measure = getattr(import_module(f"benchmarks.speed.{module}"), function)
    Path(file).write_text(json.dumps(measure(**json.loads(arguments))))


if __name__ == "__main__":
    main()
