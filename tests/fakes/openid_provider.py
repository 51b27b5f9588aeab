"""oidc_provider_mock, whose ID tokens leave out the claims that a person's claim `only_in_userinfo` lists."""

import runpy
from typing import Any

from oidc_provider_mock import _app

_all = _app.OpenIDCode.generate_user_info


def _in_id_token(self: Any, user: Any, scope: str) -> dict[str, Any]:
    claims = _all(self, user, scope)
    hidden = claims.pop("only_in_userinfo", [])
    return {name: value for name, value in claims.items() if name not in hidden}


if __name__ == "__main__":
    _app.OpenIDCode.generate_user_info = _in_id_token  # type: ignore[method-assign,assignment]
    runpy.run_module("oidc_provider_mock", run_name="__main__")
