"""Where `fendan serve` is forked from, for tests that start it hundreds of times.

Half a second of imports is done once. Each line of standard input is a list of arguments, as JSON;
each is answered by the process id of the server that they start, then by what the server says on
standard output, and, when it has ended, by its exit status.
"""

import gc
import importlib
import json
import os
import sys
from contextlib import suppress

# Imported where the command looks for them, so that it finds them there.
from fendan import cli
from fendan.server import logs, process, serve

__all__ = ["main"]


def main() -> None:
    """Serve, one after another."""
    assert {logs, process, serve}
    with suppress(ModuleNotFoundError):  # it is not in every build
        importlib.import_module("fendan.server.door")
    gc.freeze()  # or each server would go through all of it again
    for line in sys.stdin:
        server = os.fork()
        if not server:
            _serve(json.loads(line))
        print(server, flush=True)
        _, status = os.waitpid(server, 0)
        print("ended with", os.waitstatus_to_exitcode(status), flush=True)


def _serve(arguments: list[str]) -> None:
    sys.argv = ["fendan", "serve", *arguments]
    status: object = 1
    try:
        cli.main()
    except SystemExit as ending:
        status = ending.code or 0
    finally:
        sys.stdout.flush()
        os._exit(status if isinstance(status, int) else 1)


if __name__ == "__main__":
    main()
