"""Runs the DAG as Airflow does, in Airflow's own Python; its arguments: DAGS_FOLDER RESULT_FILE."""

import json
import sys
from datetime import datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import select

for module in ("airflow.api_fastapi.execution_api.routes", "airflow.sdk.execution_time.supervisor"):
    import_module(module)  # a task would, too


def run(folder: str) -> dict[str, Any]:
    bag = DagBag(folder)
    imported = sorted({"dlt", "cf_invoice_source"} & sys.modules.keys())
    dag = bag.dags["cloudflare_invoices"]
    for task in dag.tasks:  # nobody waits here
        at_once = {"retry_delay": timedelta(0), "retry_exponential_backoff": 0}
        task.partial_kwargs.update(at_once) if task.is_mapped else vars(task).update(at_once)
    dag_run = dag.test(logical_date=datetime.now(timezone.utc))
    with create_session() as session:
        xcoms = session.scalars(select(XComModel).where(XComModel.run_id == dag_run.run_id)).all()
        summaries = [each.value for each in xcoms if each.task_id == "summarise"]
    return {
        "errors": {path: str(error) for path, error in bag.import_errors.items()},
        "dags": sorted(bag.dags),
        "imported": imported,
        "state": dag_run.state,
        "tasks": [
            {"task": ti.task_id, "label": ti.rendered_map_index, "state": ti.state, "tries": ti.try_number}
            for ti in dag_run.get_task_instances()
        ],
        "summary": summaries[0] if summaries else None,
    }


def main() -> None:
    Path(sys.argv[2]).write_text(json.dumps(run(sys.argv[1])))
