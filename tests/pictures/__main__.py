"""Makes all pictures of README again: `make pictures`. It takes a minute: the demo runs once, as a user runs it."""

import sys

from tests.pictures import IMAGES, email_on_phone, terminal


def main() -> int:
    chromium = email_on_phone.chromium()
    if chromium is None:
        print("chromium is not installed, and takes the pictures of the email: apt-get install chromium")
        return 2
    IMAGES.mkdir(exist_ok=True)
    email_on_phone.take(chromium)
    terminal.take()
    for file in sorted(IMAGES.iterdir()):
        print(f"{file.relative_to(IMAGES.parents[1])}: {file.stat().st_size / 1000:.0f} kB")
    return 0


sys.exit(main())
