"""Add the first administrator: `infra.local.admin`, with `address:password` or nothing on stdin.

One rule: a password is given or made up, never known beforehand; it is printed once, where it was
made up, and kept nowhere.
"""

import secrets
import sys

from chalicelib import wiring
from chalicelib.domain.errors import StroemError
from chalicelib.engine import accounts

EMAIL = "admin@localhost"


def main() -> int:
    """Return the exit code: 2 when the address is none."""
    given = sys.stdin.read().strip()
    email, _, password = given.partition(":")
    made_up = secrets.token_urlsafe(15)
    try:
        user = accounts.first_admin(wiring.engine(), email or EMAIL, password or made_up)
    except StroemError as error:
        print(error.message, file=sys.stderr)
        return 2
    if user is None:
        told = "; --admin changes nobody" if given else ""
        print(f"people log in; the users are those of before{told}")
    elif given:
        print(f"people log in; {user.email} is the administrator")
    else:
        print(f"people log in; administrator {user.email} with the password {made_up}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
