"""Lets only one pipeline load a dataset of Iceberg tables: two at once would lose rows.

dlt commits to Iceberg tables in files without a catalog. If two commit at once, the later one wins, and the
rows of the other are lost without an error. Delta's log refuses the later one.
"""

from __future__ import annotations

from contextlib import suppress

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.warehouse.dlt_names import FilesystemClient, dataset_path_of
from cf_invoice_source.warehouse.lease import make_once

_CLAIM = "_cf_invoices_pipeline"
"""A file in the dataset with the name of its pipeline. It is deleted with the dataset."""


def claim_dataset(client: FilesystemClient, pipeline_name: str) -> None:
    """Claim a dataset for this pipeline, unless another one has claimed it.

    Raises:
        SettingsError: It is another pipeline's.
    """
    with suppress(FileExistsError):  # another one makes the directory
        client.initialize_storage()
    make_once(client.fs_client, _path(client), pipeline_name.encode())
    check_claim(client, pipeline_name)


def check_claim(client: FilesystemClient, pipeline_name: str) -> None:
    """Check that no other pipeline has claimed a dataset.

    Raises:
        SettingsError: It is another pipeline's.
    """
    with suppress(FileNotFoundError):
        owner = client.fs_client.cat_file(_path(client)).decode()
        if owner not in {"", pipeline_name}:  # empty: it is being written, and is looked at once more
            raise SettingsError(
                f"This dataset of Iceberg tables is loaded by the pipeline {owner}, and takes no other one: "
                "two at once would lose rows.",
                remedy="load all accounts with that pipeline (--pipeline-name), or into another dataset; "
                "Delta tables take several",
            )


def _path(client: FilesystemClient) -> str:
    return f"{dataset_path_of(client)}/{_CLAIM}"
