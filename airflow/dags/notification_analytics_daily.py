"""The notification analytics of the day before, in UTC."""

from datetime import datetime, timedelta, timezone

from airflow import DAG
from tallyman_airflow import run_and_wait

with DAG(
    dag_id="notification_analytics_daily",
    schedule="40 0 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=15)},
    tags=["tallyman", "analytics"],
    doc_md=__doc__,
) as dag:
    # A run that fires after midnight is about the day before it.
    day = "{{ macros.ds_add((data_interval_end or logical_date or dag_run.run_after) | ds, -1) }}"
    run_and_wait("notification_analytics", "notification_analytics", {"date": day})
