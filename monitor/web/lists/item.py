"""What the items of all lists are."""

from pydantic import AliasChoices, BaseModel, ConfigDict


class Item(BaseModel):
    """Read from the attributes of a row of monitor.reporting."""

    model_config = ConfigDict(from_attributes=True)


def of_row(name: str, attribute: str) -> AliasChoices:
    """The `validation_alias` of a field whose row calls it otherwise; the API's description takes the first choice."""
    return AliasChoices(name, attribute)
