"""What all sections are made of."""

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Unknown keys are refused, values are not coerced across types, nothing changes after parsing."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # there are passwords in it
    )


Share = Annotated[float, Field(ge=0.0, le=1.0)]


def _are_networks(networks: list[str]) -> list[str]:
    for network in networks:
        ipaddress.ip_network(network)
    return networks


Networks = Annotated[list[str], AfterValidator(_are_networks)]
"""As ``192.168.0.0/16``; an address alone is one, too."""
