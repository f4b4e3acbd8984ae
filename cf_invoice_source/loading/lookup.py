"""Looks up settings in our own section, and nowhere else.

dlt would go on to `[sources]` and then to bare names. A BASE_URL, CREDENTIALS or TYPE of another tool would
be taken for ours, and a token would be sent to that BASE_URL.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import dlt
from dlt.common.configuration.providers import EnvironProvider
from dlt.common.configuration.providers.provider import ConfigProvider
from dlt.common.configuration.utils import deserialize_value
from dlt.common.typing import TSecretStrValue

from cf_invoice_source.errors import SettingsError
from cf_invoice_source.settings import SECTION
from cf_invoice_source.warehouse.dlt_names import known_sections

ARGUMENT, ENVIRONMENT, PROJECT, HOME = "an argument", "the environment", ".dlt", "dlt's directory at home"
"""Places of settings. Vaults are further places; dlt names them."""

_SECRETS = {"credentials", "api_token", "api_key"}


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting's value, the name that a user knows it by, and the place where it was found."""

    value: Any = field(repr=False)  # it may be a credential
    name: str = ARGUMENT
    place: str = ARGUMENT

    @property
    def is_from_file(self) -> bool:
        """Whether it comes from neither the caller nor the environment."""
        return self.place not in {ARGUMENT, ENVIRONMENT}


def find(pipeline_name: str | None, key: str, hint: Any, *below: str) -> Setting | None:
    """Look up a setting in dlt's places, first under the pipeline's name; an empty text counts as not set.

    Raises:
        SettingsError: It is a secret, and it is in a file that is not for secrets.
        ConfigurationException: It cannot be read as the type of the hint.
    """
    sections = (known_sections.SOURCES, SECTION, *below)
    for prefix in dict.fromkeys((pipeline_name, None)):
        for provider in dlt.config.config_providers:
            if not provider.supports_sections:  # it has only bare names
                continue
            asked_for = TSecretStrValue if key in _SECRETS else hint  # it can be a Docker secret
            value, name = provider.get_value(key, asked_for, prefix, *sections)
            if value is None or value == "" or (hint is str and isinstance(value, Mapping)):
                continue
            found = _found(provider, value, key, name, provider.get_value_location(key, prefix, *sections))
            return replace(found, value=deserialize_value(key, value, hint))
    return None


def find_in_environment(name: str) -> Setting | None:
    """Look up a variable of Cloudflare's own tools; an empty text counts as not set."""
    value = os.environ.get(name)
    return Setting(value, name, ENVIRONMENT) if value else None


def _found(provider: ConfigProvider, value: Any, key: str, name: str, location: str) -> Setting:
    if isinstance(provider, EnvironProvider):
        return Setting(value, name, ENVIRONMENT)
    file = location or provider.name
    if key in _SECRETS and not provider.supports_secrets:
        cause = f"The setting {key} is in {file}, which is not for secrets."
        raise SettingsError(cause, remedy="move it to .dlt/secrets.toml, which git ignores")
    section, _, key = name.rpartition(".")
    place = HOME if file.startswith("global:") else PROJECT if file.endswith(".toml") else provider.name
    return Setting(value, f"{key} under [{section}] in {file}", place)
