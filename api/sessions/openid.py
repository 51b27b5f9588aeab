"""OpenID Connect: the authorization code flow with PKCE, state and nonce, through Authlib.

What has to survive the visit to the provider travels in a cookie of the browser, signed with the client's secret, for
ten minutes; no table holds a sign-in that may never come back.
"""

import hmac
import time
from typing import Any

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from api.http.problems import OpenidRefused, OpenidUnavailable, shortened
from api.sessions import openid_claims
from api.sessions.openid_claims import Statement
from models.settings import ApiSettings

VISIT_SECONDS = 600
TIMEOUT_SECONDS = 10.0
SIGNED_WITH = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
"""What an ID token may be signed with: never `none`, and nothing whose key we would share."""
ALGORITHM = "HS256"


class OpenId:
    """One provider. Its addresses and keys are fetched at the first sign-in and kept."""

    def __init__(self, settings: ApiSettings, issuer: str, secret: str) -> None:
        self.issuer = issuer
        self._client_id = settings.openid_client_id
        self.instructors = openid_claims.listed(settings.openid_instructors)
        self._role_claim = settings.openid_role_claim
        self._key = OctKey.import_key(secret.encode())
        self._app: Any = OAuth().register(
            "university",
            client_id=self._client_id,
            client_secret=secret,
            server_metadata_url=f"{self.issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": scopes(settings),
                "code_challenge_method": "S256",
                "timeout": TIMEOUT_SECONDS,
            },
        )

    async def begin(self, callback: str, then: str) -> tuple[str, str, str]:
        """Where to send the browser, the cookie that it has to bring back, and the state that it comes back with.

        Raises `OpenidUnavailable`.
        """
        app = await self._ready()
        made = await app.create_authorization_url(callback)
        visit = {name: made[name] for name in ("state", "nonce", "code_verifier")}
        claims = {**visit, "callback": callback, "then": then, "exp": int(time.time()) + VISIT_SECONDS}
        return made["url"], jwt.encode({"alg": ALGORITHM}, claims, self._key), made["state"]

    async def finish(self, visit: str | None, state: str, code: str) -> tuple[Statement, str]:
        """What the provider says of the user, and where the browser wanted to go.

        Raises `OpenidUnavailable`, `OpenidRefused`.
        """
        app = await self._ready()
        begun = self._opened(visit)
        if not hmac.compare_digest(begun["state"].encode(), state.encode(errors="surrogateescape")):
            raise OpenidRefused("the answer belongs to another sign-in; try again")
        checks = {"iss": {"essential": True, "value": app.server_metadata["issuer"]}}
        checks["aud"] = {"essential": True, "value": self._client_id}
        try:
            token = await app.fetch_access_token(
                code=code, state=state, redirect_uri=begun["callback"], code_verifier=begun["code_verifier"]
            )
            claims = await app.parse_id_token(token, nonce=begun["nonce"], claims_options=checks)
            if claims is None:
                raise OpenidRefused("the provider sent no ID token")
        except (OAuthError, JoseError, ValueError, KeyError) as error:
            raise OpenidRefused(f"the provider's answer cannot be accepted ({type(error).__name__})") from error
        except (httpx2.HTTPError, RuntimeError) as error:
            raise OpenidUnavailable(f"the provider does not answer ({type(error).__name__})") from error
        if openid_claims.is_complete(claims, self._role_claim) or "userinfo_endpoint" not in app.server_metadata:
            return Statement(dict(claims)), begun["then"]
        return await self._with_userinfo(app, token, dict(claims)), begun["then"]

    async def _with_userinfo(self, app: Any, token: Any, id_token: dict[str, Any]) -> Statement:
        """Many providers keep groups, or everything beside the subject, for userinfo. The sign-in does without it."""
        try:
            userinfo = dict(await app.userinfo(token=token))
        except (OAuthError, httpx2.HTTPError, ValueError, TypeError) as error:
            return Statement(id_token, userinfo_failure=f"userinfo gave no answer ({type(error).__name__})")
        # Only what is said of the same user counts (OpenID Connect Core 1.0, section 5.3.2).
        if userinfo.get("sub") != id_token["sub"]:
            return Statement(id_token, userinfo_failure="userinfo returned another subject")
        return Statement(id_token, userinfo)

    def _opened(self, visit: str | None) -> dict[str, Any]:
        if not visit:
            raise OpenidRefused("the sign-in began in another browser or too long ago; try again")
        try:
            token = jwt.decode(visit, self._key, algorithms=[ALGORITHM])
            jwt.JWTClaimsRegistry(exp={"essential": True}).validate(token.claims)
        except (JoseError, ValueError):
            raise OpenidRefused("the sign-in began too long ago; try again") from None
        return dict(token.claims)

    async def _ready(self) -> Any:
        try:
            metadata = await self._app.load_server_metadata()
        except (httpx2.HTTPError, ValueError) as error:
            raise OpenidUnavailable(f"the provider does not answer ({type(error).__name__})") from error
        if (issuer := metadata.get("issuer")) != self.issuer:
            message = f"the provider's issuer is {shortened(issuer)}, not {self.issuer}"
            raise OpenidUnavailable(f"{message}: the lab's operator must set GPULAB_OPENID_ISSUER to exactly the first")
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = [name for name in offered if name in SIGNED_WITH]
        return self._app


def scopes(settings: ApiSettings) -> str:
    """What the lab asks the provider for; without `openid` there would be no ID token."""
    wanted = settings.openid_scopes.replace(",", " ").split()
    return " ".join(dict.fromkeys(["openid", *wanted]))
