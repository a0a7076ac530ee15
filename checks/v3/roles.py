"""For whom a token acts. How introspection spells a role is not documented: Greenhouse's user types are, folded."""

from checks.v3.token_answers import Introspection, folded

_OTHER_ROLES = frozenset({"basic", "jobadmin", "interviewer"})
_SITE_ADMIN = "siteadmin"


def acts_for_site_admin(told: Introspection) -> bool:
    """Or for no user, as a service user's token does. False also where it is not said."""
    return told.role_stated and (told.role is None or folded(told.role) == _SITE_ADMIN)


def acts_for_another(told: Introspection | None) -> bool:
    """For a user with another of Greenhouse's roles; one that is not known is none of them."""
    return told is not None and told.role is not None and folded(told.role) in _OTHER_ROLES
