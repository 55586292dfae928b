"""Asks every operation of a running daemon what its own OpenAPI document promises, through schemathesis.

usage: schemathesis_run.py URL [--token TOKEN] [--examples N] [--seed N]

With a token: no 5xx, no status, media type or body that the document does not describe, no data refused or taken
against its schema, and nothing that works when the token is left out. Without one: no success of an operation that
the document closes. Streams of events never end and are left to tests of their own.

Prints what schemathesis prints, then "operations asked: N"; exits with its status.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.request

CONFIG = """
[generation]
allow-x00 = true

[checks]
# A run that is going is met with 409, whatever the data.
positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "422"]
negative_data_rejection.expected-statuses = ["4xx"]

# Which options a job knows, and which cursor was handed out, no schema can say: both are refused with 400.
[[operations]]
include-operation-id = "postApiEtlJobsJobRun"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "404", "409", "422"]

[[operations]]
include-operation-id = "getApiEtlDeadLetters"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "404", "409", "422"]
"""

# They never end.
STREAMS = "/events$"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--token")
    parser.add_argument("--examples", type=int, default=15)
    parser.add_argument("--seed", type=int, default=20261121)
    return parser.parse_args()


def main() -> int:
    options = arguments()
    document = options.url + "/openapi.json"
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "schemathesis.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG)
        report = os.path.join(folder, "report.ndjson")
        command = [
            sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()",
            "--config-file", config, "run", document, "--url", options.url, "--checks", "all",
            "--exclude-path-regex", STREAMS, "--phases", "examples,coverage,fuzzing", "--no-color",
            "--max-examples", str(options.examples), "--seed", str(options.seed), "--continue-on-failure",
            "--request-timeout", "30", "--report", "ndjson", "--report-ndjson-path", report,
            "--generation-database", "none", "--suppress-health-check", "all", "--warnings", "off",
        ]
        environment = dict(os.environ)
        if options.token:
            command += ["--header", f"Authorization: Bearer {options.token}"]
        else:
            # The checks of this very file join schemathesis's own.
            environment["SCHEMATHESIS_HOOKS"] = "schemathesis_checks"
            environment["PYTHONPATH"] = os.path.dirname(os.path.abspath(__file__))
        status = subprocess.run(command, env=environment, cwd=folder, check=False).returncode
    with urllib.request.urlopen(document) as answer:  # It still answers, too.
        paths = json.load(answer)["paths"]
    asked = [path for path in paths if not path.endswith("/events")]
    print(f"operations asked: {sum(len(paths[path]) for path in asked)}")
    return status


if __name__ == "__main__":
    sys.exit(main())
