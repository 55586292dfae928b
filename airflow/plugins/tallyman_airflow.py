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


def judge(run: dict[str, Any]) -> str:
    """The id of a run that went well; raises with what the daemon says about any other."""
    if run["state"] in GOOD:
        return run["runId"]
    error = run.get("error") or {}
    what = "it left dead letters" if run["state"] == "partial" else error.get("summary")
    raise AirflowException(f"run {run['runId']} of {run['job']} is {run['state']}: {what}")


class TallymanStartOperator(BaseOperator):
    """Starts a run once for each data interval; its id goes to XCom.

    The idempotency key is made of DAG, task and data interval: a task that is cleared finds the run it started and
    starts none, unless that run did not succeed; then the key counts up.
    """

    template_fields = ("options", "interval")

    def __init__(self, *, job: str, options: dict[str, Any] | None = None, **more: Any) -> None:
        super().__init__(**more)
        self.job = job
        self.options = options or {}
        self.interval = "{{ (data_interval_start or logical_date or dag_run.run_after).isoformat() }}"

    def key(self, attempt: int) -> str:
        return f"{self.dag_id}:{self.task_id}:{self.interval}:{attempt}"

    def execute(self, context: Any) -> str:
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
            state = run_of(document["runId"])["state"]
            if state not in FINAL or state in GOOD:
                return document["runId"]
            self.log.info("run %s of this interval is %s; starting another", document["runId"], state)
        raise AirflowException(f"{ATTEMPTS_MAX} runs of this interval did not succeed")


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


class TallymanRunSensor(BaseOperator):
    """Waits for a run without holding a worker; fails unless it succeeded."""

    template_fields = ("run_id",)

    def __init__(self, *, run_id: str, poll_seconds: float = 10.0, **more: Any) -> None:
        super().__init__(**more)
        self.run_id = run_id
        self.poll_seconds = poll_seconds

    def execute(self, context: Any) -> str:
        run = run_of(self.run_id)
        if run["state"] in FINAL:
            return judge(run)
        self.defer(trigger=TallymanRunTrigger(self.run_id, self.poll_seconds), method_name="ended")

    def ended(self, context: Any, event: dict[str, Any]) -> str:
        return judge(event)


def run_and_wait(name: str, job: str, options: dict[str, Any] | None = None, poll_seconds: float = 10.0):
    """Two tasks, `<name>_start` and `<name>_wait`, in their order; returns both."""
    start = TallymanStartOperator(task_id=f"{name}_start", job=job, options=options)
    wait = TallymanRunSensor(
        task_id=f"{name}_wait",
        run_id="{{ ti.xcom_pull(task_ids='" + f"{name}_start" + "') }}",
        poll_seconds=poll_seconds,
    )
    start >> wait
    return start, wait
