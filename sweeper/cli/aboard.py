"""``python -m sweeper.cli.aboard``: a command of `sweeper`, run by a cluster's job server.

The folder it is started in is the job's parcel, see `sweeper.engine.parcel`.
"""

from __future__ import annotations

import os
from pathlib import Path

from sweeper.cli import main
from sweeper.engine.parcel import unpack

if __name__ == "__main__":
    # Ray's note of the job's own environment: workers would each get the parcel, too, and Ray
    # refuses the one that a sweep gives them beside it.
    os.environ.pop("RAY_JOB_CONFIG_JSON_ENV_VAR", None)
    unpack(Path())
    main()
