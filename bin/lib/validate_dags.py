# Checks the Airflow DAGs: their syntax and shape with any Python; with --load in a real Airflow; with --run against a
# daemon, whose URL the environment gives as AIRFLOW_CONN_TALLYMAN.
import ast
import datetime
import importlib.util
import os
import pathlib
import sys
import types

ROOT = pathlib.Path(__file__).resolve().parents[2] / "airflow"
INTERVAL = datetime.datetime(2026, 1, 15, 10, tzinfo=datetime.timezone.utc)
# DAG: its tasks and the edges between them.
EXPECTED = {
    "retail_etl_hourly": ["bronze", "silver", "gold"],
    "etl_aimerchant_hourly": ["shopify", "amazon"],
    "user_analytics_daily": ["user_analytics"],
    "order_analytics_daily": ["order_analytics"],
    "payment_analytics_daily": ["payment_analytics"],
    "notification_analytics_daily": ["notification_analytics"],
}


def dag_keywords(path):
    """The keywords of the one DAG(…) of a file."""
    tree = ast.parse(path.read_text(), filename=str(path))
    if ast.get_docstring(tree) is None:
        raise SystemExit(f"{path.name}: no docstring, which is the DAG's documentation")
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "DAG"]
    if len(calls) != 1:
        raise SystemExit(f"{path.name}: {len(calls)} DAGs, not one")
    return {keyword.arg: keyword.value for keyword in calls[0].keywords}


def check_syntax(folder):
    files = sorted((folder / "dags").glob("*.py"))
    if {path.stem for path in files} != set(EXPECTED):
        raise SystemExit(f"the DAGs are {[path.stem for path in files]}, not {sorted(EXPECTED)}")
    for path in files:
        keywords = dag_keywords(path)
        if ast.literal_eval(keywords["dag_id"]) != path.stem:
            raise SystemExit(f"{path.name}: dag_id is not the file's name")
        if ast.literal_eval(keywords["catchup"]) is not False or ast.literal_eval(keywords["max_active_runs"]) != 1:
            raise SystemExit(f"{path.name}: must not catch up, and run once at a time")
        if len(ast.literal_eval(keywords["schedule"]).split()) != 5:
            raise SystemExit(f"{path.name}: schedule is no cron expression")
    plugin = ast.parse((folder / "plugins" / "tallyman_airflow.py").read_text())
    texts = {node.value for node in ast.walk(plugin) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    for wanted in ("Idempotency-Key", "respond-async"):
        if not any(wanted in text for text in texts):
            raise SystemExit(f"the plugin sends no {wanted}")
    print(f"{len(files)} DAGs are well formed")


class Deferred(Exception):
    """What Airflow raises inside a task that defers itself."""


class StandInOperator:
    """As much of an Airflow operator as the plugin's own needs."""

    dag_id = "retail_etl_hourly"

    def __init__(self, task_id):
        self.task_id = task_id
        self.log = self

    def info(self, *_):
        pass

    def defer(self, trigger, method_name):
        raise Deferred(trigger.run_id)


def stand_in(name, **members):
    module = types.ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module


class StandInDaemon:
    """Answers as the daemon does: one run for an idempotency key."""

    def __init__(self):
        self.runs = {}

    def ask(self, method, path, body=None, headers=None):
        if method == "GET":
            return 200, {"run": self.runs[path.rsplit("/", 1)[1]]}
        run = self.runs.setdefault(headers["Idempotency-Key"], {"state": "running", "job": "retail"})
        run["runId"] = headers["Idempotency-Key"]
        return 202, {"runId": run["runId"]}


def check_operator(folder):
    """The plugin's operator without Airflow: what is retried, what is cleared, what is good enough."""
    if importlib.util.find_spec("airflow") is not None:
        return
    error = type("AirflowException", (Exception,), {})
    stand_in("asgiref")
    stand_in("asgiref.sync", sync_to_async=lambda body: body)
    stand_in("airflow")
    stand_in("airflow.sdk", BaseHook=object, BaseOperator=StandInOperator)
    stand_in("airflow.exceptions", AirflowException=error)
    stand_in("airflow.triggers")
    stand_in("airflow.triggers.base", BaseTrigger=object, TriggerEvent=dict)
    sys.path.insert(0, str(folder / "plugins"))
    import tallyman_airflow as plugin

    def ends(task, body):
        try:
            return body(), None
        except (Deferred, error) as raised:
            return None, raised

    for accepts_partial in (False, True):
        daemon = StandInDaemon()
        plugin.ask = daemon.ask
        task = plugin.run_and_wait("silver", "retail", {"stage": "silver"}, accepts_partial=accepts_partial)
        task.interval = "2026-01-15T10:00:00+00:00"
        for state in ("failed", "partial", "succeeded"):
            known = set(daemon.runs)
            _, raised = ends(task, lambda: task.execute({}))
            if not isinstance(raised, Deferred):
                raise SystemExit(f"a task that is tried again after {sorted(known)} does not start and wait: {raised}")
            run = daemon.runs[str(raised)]
            if str(raised) in known:
                raise SystemExit("a retry of a failed stage starts no new run")
            _, again = ends(task, lambda: task.execute({}))
            if str(again) != str(raised):
                raise SystemExit("a task that lost its worker does not go on waiting for its run")
            run["state"] = state
            done, raised = ends(task, lambda: task.ended({}, run))
            if (raised is None) != (state in ({"succeeded", "partial"} if accepts_partial else {"succeeded"})):
                raise SystemExit(f"a run that is {state} is judged wrongly: {raised}")
            if done:
                break
        known = set(daemon.runs)
        done, raised = ends(task, lambda: task.execute({}))
        if raised is not None or set(daemon.runs) != known:
            raise SystemExit(f"a cleared task runs twice: {raised}")


def load(folder):
    sys.path.insert(0, str(folder / "plugins"))
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models.dagbag import DagBag
    bag = DagBag(dag_folder=str(folder / "dags"), include_examples=False)
    if bag.import_errors:
        raise SystemExit(f"import errors: {bag.import_errors}")
    for name, parts in EXPECTED.items():
        if set(bag.dags[name].task_ids) != set(parts):
            raise SystemExit(f"{name}: tasks are {bag.dags[name].task_ids}")
    retail = bag.dags["retail_etl_hourly"]
    for one, next_one in (("bronze", "silver"), ("silver", "gold")):
        if retail.get_task(one).downstream_task_ids != {next_one}:
            raise SystemExit(f"{next_one} does not follow {one}")
    print(f"{len(bag.dags)} DAGs load in Airflow")
    return bag


def run(bag, name):
    dag = bag.dags[name]
    for task in dag.tasks:
        # A check must end: what fails is not waited for.
        task.retries = 0
        if hasattr(task, "poll_seconds"):
            task.poll_seconds = 1.0
    # The same data interval each time, as for a DAG run that is cleared.
    for _ in range(2 if "--again" in sys.argv else 1):
        ended = dag.test(logical_date=INTERVAL)
        state = getattr(ended, "state", None)
        if str(state).split(".")[-1].lower() != "success":
            raise SystemExit(f"{name} ended as {state}")
        print(f"{name} succeeded")


folder = pathlib.Path(os.environ.get("TALLYMAN_AIRFLOW_FOLDER") or ROOT)
check_syntax(folder)
check_operator(folder)
if "--load" in sys.argv or "--run" in sys.argv:
    loaded = load(folder)
    if "--run" in sys.argv:
        run(loaded, sys.argv[sys.argv.index("--run") + 1])
