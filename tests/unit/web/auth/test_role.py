"""Who gets which role."""

from monitor.web.auth.role import AccessRole, RolePolicy

VIEWER, OPERATOR = AccessRole.VIEWER, AccessRole.OPERATOR


def test_nobody_is_an_operator_unless_listed() -> None:
    """Without lists everybody reads; a name, an address or a group on the list acts, in whatever case."""
    assert RolePolicy.of(None, None).role_of(["olga"]) is VIEWER
    policy = RolePolicy.of(["Olga", "on-call"], None)
    assert [policy.role_of(names) for names in (["OLGA"], ["dana", "On-Call"], ["dana"], ["olg"], [])] == [
        OPERATOR,
        OPERATOR,
        VIEWER,
        VIEWER,
        VIEWER,
    ]


def test_a_list_of_viewers_keeps_others_out() -> None:
    """Operators need not stand on it, too."""
    policy = RolePolicy.of(["olga"], ["staff"])
    assert [policy.role_of(names) for names in (["olga"], ["dana", "staff"], ["dana"])] == [OPERATOR, VIEWER, None]
