"""What schemathesis asks besides its own checks when it has no token: an operation that is closed never succeeds."""

import schemathesis


@schemathesis.check
def no_unauthorised_success(ctx, response, case) -> None:
    closed = bool(case.operation.definition.raw.get("security"))
    if closed and response.status_code < 400:
        raise AssertionError(f"{case.method} {case.path} answered {response.status_code} without a token")
