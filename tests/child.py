"""Work in a forked process, also as another user."""

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass


def start(work: Callable[[], object]) -> int:
    """Do `work` in a fork of this process; its id. Its exit status is 1 after an exception."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


@dataclass(frozen=True)
class User:
    """Who runs a process: user id, groups and umask."""

    uid: int
    groups: tuple[int, ...] = ()
    umask: int = 0o022

    def start(self, work: Callable[[], object]) -> int:
        """Do `work` in a process of this user's; its id."""

        def as_user() -> None:
            os.setgroups(self.groups)
            os.setgid(self.uid)
            os.setuid(self.uid)
            os.umask(self.umask)
            work()

        return start(as_user)
