"""The marketplace pulls, hourly; one marketplace that fails does not stop the other."""

from datetime import datetime, timedelta, timezone

from airflow import DAG
from tallyman_airflow import run_and_wait

with DAG(
    dag_id="etl_aimerchant_hourly",
    schedule="5 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["tallyman", "marketplaces"],
    doc_md=__doc__,
) as dag:
    for marketplace in ("shopify", "amazon"):
        run_and_wait(marketplace, marketplace)
