"""The retail pipeline, hourly: bronze, then silver, then gold. Switch Tallyman's own schedule of the job off beside it."""

from datetime import datetime, timedelta, timezone

from airflow import DAG
from tallyman_airflow import run_and_wait

with DAG(
    dag_id="retail_etl_hourly",
    schedule="0 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["tallyman", "retail"],
    doc_md=__doc__,
) as dag:
    before = None
    for stage in ("bronze", "silver", "gold"):
        # Lines that silver set aside do not hold gold up, as they do not in Tallyman's own run.
        task = run_and_wait(stage, "retail", {"stage": stage}, accepts_partial=stage == "silver")
        if before is not None:
            before >> task
        before = task
