"""What schemathesis asks besides its own checks when it has no token: an operation that is closed never succeeds."""

import schemathesis


@schemathesis.check
def no_unauthorised_success(ctx, response, case) -> None:
    # An OPTIONS request tells the methods of a path and nothing else.
    security = case.operation.definition.raw.get("security") or []
    closed = bool(security) and {} not in security
    if closed and response.request.method != "OPTIONS" and response.status_code < 400:
        raise AssertionError(f"{case.method} {case.path} answered {response.status_code} without a token")
