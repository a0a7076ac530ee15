"""Makes all pictures of README again: `make pictures`. It takes two minutes: the demo runs once, as a user runs it."""

import sys

from tests.chromium import ChromiumUnavailable, chromium_path
from tests.pictures import IMAGES, email_on_phone, on_call, terminal


def main() -> int:
    try:
        chromium = chromium_path()
    except ChromiumUnavailable as why:
        print(why)
        return 2
    IMAGES.mkdir(exist_ok=True)
    email_on_phone.take(chromium)
    on_call.take(chromium)
    terminal.take()
    for file in sorted(IMAGES.iterdir()):
        print(f"{file.relative_to(IMAGES.parents[1])}: {file.stat().st_size / 1000:.0f} kB")
    return 0


sys.exit(main())
