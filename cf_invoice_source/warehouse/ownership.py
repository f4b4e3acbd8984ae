"""Keeps a dataset of Iceberg tables to one pipeline: of two at once, one would lose rows.

dlt commits to Iceberg tables in files without a catalog: of two commits at once the later wins, and the rows
of the other are gone, without an error. Delta has a log that refuses the later one.
"""

from __future__ import annotations

from contextlib import suppress

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.warehouse.dlt_names import FilesystemClient, dataset_path_of

_CLAIM = "_cf_invoices_pipeline"
"""A file in the dataset, with the name of the pipeline whose it is. It goes when the dataset is deleted."""


def claim_dataset(client: FilesystemClient, pipeline_name: str) -> None:
    """Take a dataset that is nobody's, and check that it is this pipeline's.

    Raises:
        SettingsError: It is another pipeline's.
    """
    with suppress(FileExistsError):  # another one makes the directory
        client.initialize_storage()
    with suppress(FileExistsError):  # only one of many at once can make this file
        client.fs_client.pipe_file(_path(client), pipeline_name.encode(), mode="create")
    check_claim(client, pipeline_name)


def check_claim(client: FilesystemClient, pipeline_name: str) -> None:
    """Check that a dataset is this pipeline's, or nobody's.

    Raises:
        SettingsError: It is another pipeline's.
    """
    with suppress(FileNotFoundError):
        owner = client.fs_client.cat_file(_path(client)).decode()
        if owner != pipeline_name:
            raise SettingsError(
                f"This dataset of Iceberg tables is loaded by the pipeline {owner}, and takes no other one: "
                "two at once would lose rows.",
                remedy="load all accounts with that pipeline (--pipeline-name), or into another dataset; "
                "Delta tables take several",
            )


def _path(client: FilesystemClient) -> str:
    return f"{dataset_path_of(client)}/{_CLAIM}"
