"""What the items of all lists are."""

from pydantic import BaseModel, ConfigDict


class Item(BaseModel):
    """Read from the attributes of a row of monitor.reporting."""

    model_config = ConfigDict(from_attributes=True)
