"""Validates GraphQL documents against a schema: JSON on standard input, one line an error on standard output.

Usage: validate_graphql.py SCHEMA.graphql.gz < {"name": "document", …}
"""

import gzip
import json
import sys

from graphql import build_schema, parse, validate


def main() -> int:
    with gzip.open(sys.argv[1], "rt", encoding="utf-8") as file:
        schema = build_schema(file.read())
    documents = json.load(sys.stdin)
    for name, text in sorted(documents.items()):
        try:
            errors = validate(schema, parse(text))
        except Exception as error:  # a syntax error is an answer too
            errors = [error]
        for error in errors:
            print(f"{name}: {str(error).splitlines()[0]}")
    print(f"validated {len(documents)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
