"""Starts runs of Tallyman over its HTTP interface and waits for them, for Airflow 2.10 and 3.

It stands in Airflow's plugins folder, where workers and the triggerer find it. The connection `tallyman` names the
daemon (host, port, schema http or https) and holds a bearer token as its password.
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any, AsyncIterator

from asgiref.sync import sync_to_async

try:  # Airflow 3
    from airflow.sdk import BaseHook, BaseOperator
except ImportError:  # Airflow 2
    from airflow.hooks.base import BaseHook
    from airflow.models.baseoperator import BaseOperator
from airflow.exceptions import AirflowException
from airflow.triggers.base import BaseTrigger, TriggerEvent

CONNECTION = "tallyman"
FINAL = {"succeeded", "partial", "failed", "cancelled", "interrupted", "skipped"}
GOOD = {"succeeded"}
# What a stage may leave and the next still goes on: records that were set aside, as in the daemon's own run.
GOOD_ENOUGH = {"succeeded", "partial"}
# A cleared task whose run went wrong may start another one; that many for one data interval.
ATTEMPTS_MAX = 20


def ask(method: str, path: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None):
    """One request to the daemon: (status, document). Raises for a connection that fails."""
    connection = BaseHook.get_connection(CONNECTION)
    scheme = connection.schema or (connection.conn_type if connection.conn_type == "https" else "http")
    url = f"{scheme}://{connection.host}:{connection.port or 4000}{path}"
    request = urllib.request.Request(url, method=method, data=None if body is None else json.dumps(body).encode())
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    if body is not None:
        request.add_header("Content-Type", "application/json")
    if connection.password:
        request.add_header("Authorization", f"Bearer {connection.password}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        try:
            return error.code, json.loads(error.read() or b"{}")
        except ValueError:
            return error.code, {}


def run_of(run_id: str) -> dict[str, Any]:
    """A run as the ledger has it."""
    status, document = ask("GET", f"/api/etl/runs/{run_id}")
    if status != 200:
        raise AirflowException(f"the daemon answered {status} for run {run_id}")
    return document["run"]


def judge(run: dict[str, Any], good: set[str] = GOOD) -> str:
    """The id of a run that went well; raises with what the daemon says about any other."""
    if run["state"] in good:
        return run["runId"]
    error = run.get("error") or {}
    what = "it left dead letters" if run["state"] == "partial" else error.get("summary")
    raise AirflowException(f"run {run['runId']} of {run['job']} is {run['state']}: {what}")


class TallymanRunOperator(BaseOperator):
    """Starts a run once for each data interval and waits for it without holding a worker; gives its id.

    The idempotency key is made of DAG, task and data interval: a task that is cleared finds the run it started and
    starts none, unless that run did not succeed; then the key counts up. So a retry of a failed task starts a new run,
    and one that only lost its worker goes on waiting for the run there is.
    """

    template_fields = ("options", "interval")

    def __init__(
        self,
        *,
        job: str,
        options: dict[str, Any] | None = None,
        poll_seconds: float = 10.0,
        accepts_partial: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self.job = job
        self.options = options or {}
        self.poll_seconds = poll_seconds
        self.accepts_partial = accepts_partial
        self.interval = "{{ (data_interval_start or logical_date or dag_run.run_after).isoformat() }}"

    def key(self, attempt: int) -> str:
        return f"{self.dag_id}:{self.task_id}:{self.interval}:{attempt}"

    @property
    def good(self) -> set[str]:
        return GOOD_ENOUGH if self.accepts_partial else GOOD

    def start(self) -> dict[str, Any]:
        """The run of this interval: one that is going or went well, else a new one."""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            status, document = ask(
                "POST",
                f"/api/etl/jobs/{self.job}/run",
                body=self.options,
                headers={"Prefer": "respond-async", "Idempotency-Key": self.key(attempt)},
            )
            if status == 409:
                raise AirflowException(f"another run of {self.job} is going: {document.get('runId')}")
            if status not in (200, 202) or "runId" not in document:
                what = document.get("detail") or document.get("title")
                raise AirflowException(f"the daemon answered {status}: {what}")
            run = run_of(document["runId"])
            if run["state"] not in FINAL or run["state"] in self.good:
                return run
            self.log.info("run %s of this interval is %s; starting another", run["runId"], run["state"])
        raise AirflowException(f"{ATTEMPTS_MAX} runs of this interval did not succeed")

    def execute(self, context: Any) -> str:
        run = self.start()
        if run["state"] in FINAL:
            return judge(run, self.good)
        self.defer(trigger=TallymanRunTrigger(run["runId"], self.poll_seconds), method_name="ended")

    def ended(self, context: Any, event: dict[str, Any]) -> str:
        return judge(event, self.good)


class TallymanRunTrigger(BaseTrigger):
    """Looks at a run every few seconds until it has ended; holds no worker."""

    def __init__(self, run_id: str, poll_seconds: float = 10.0) -> None:
        super().__init__()
        self.run_id = run_id
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            "tallyman_airflow.TallymanRunTrigger",
            {"run_id": self.run_id, "poll_seconds": self.poll_seconds},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        failures = 0
        while True:
            try:
                run = await sync_to_async(run_of)(self.run_id)
                failures = 0
                if run["state"] in FINAL:
                    yield TriggerEvent(run)
                    return
            except (OSError, AirflowException) as error:
                # The daemon may be restarting: the run, if it died with it, is marked by the next one.
                failures += 1
                if failures >= 60:
                    what = {"summary": str(error)}
                    yield TriggerEvent({"state": "unknown", "runId": self.run_id, "job": "?", "error": what})
                    return
            await asyncio.sleep(self.poll_seconds)


def run_and_wait(
    name: str,
    job: str,
    options: dict[str, Any] | None = None,
    poll_seconds: float = 10.0,
    accepts_partial: bool = False,
):
    """The task `name`, which starts a run and waits for it."""
    return TallymanRunOperator(
        task_id=name,
        job=job,
        options=options,
        poll_seconds=poll_seconds,
        accepts_partial=accepts_partial,
    )
