"""Which errors of the system say something about a file, and which only that reading it did not work this time."""

import errno

_CERTAIN = frozenset(
    {
        errno.ENOENT,
        errno.EACCES,
        errno.EPERM,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENXIO,  # a socket
        errno.ENOEXEC,  # of a program: in no format that the system knows
    }
)


def may_pass(problem: OSError) -> bool:
    """Too many open files, a drive out of reach, and whatever else is not known to be certain."""
    return problem.errno not in _CERTAIN
