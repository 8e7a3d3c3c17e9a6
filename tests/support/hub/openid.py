"""Signing in with a browser: OAuth as Spaces use it, and by a code as `hf auth login` does. Whoever comes is alice and agrees at once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from tests.support.hub.access import signed_in
from tests.support.hub.state import Hub, RefusalError, Token

WRITING = {"write-repos", "manage-repos"}
LIFE_S = 8 * 3600


async def configuration(hub: Hub, request: Request) -> Response:
    """Where everything is."""
    places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "userinfo_endpoint": "userinfo", "jwks_uri": "jwks"}
    places["device_authorization_endpoint"] = "device"
    about = {"issuer": hub.url, "response_types_supported": ["code"], "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["HS256"]}
    scopes = ["openid", "profile", "email", "read-repos", "contribute-repos", *sorted(WRITING), "inference-api", "jobs"]
    return JSONResponse({**about, "scopes_supported": scopes, **{name: f"{hub.url}/oauth/{place}" for name, place in places.items()}})


async def authorize(hub: Hub, request: Request) -> Response:
    """Send the visitor straight back, with a code."""
    asked = request.query_params
    back, state = asked["redirect_uri"], asked.get("state", "")
    code = secrets.token_urlsafe(12)
    hub.codes[code] = {"redirect_uri": back, "scope": asked.get("scope", ""), "nonce": asked.get("nonce", ""), "client_id": asked["client_id"]}
    return RedirectResponse(f"{back}{'&' if '?' in back else '?'}{urlencode({'code': code, 'state': state})}", 302)


async def device(hub: Hub, request: Request) -> Response:
    """A code for a terminal (POST); to open the address that comes with it is to agree (GET)."""
    if request.method == "GET":
        for waiting in hub.codes.values():
            if waiting.get("user_code") == request.query_params.get("user_code"):
                waiting["agreed"] = True
        return Response("You are signed in; you may close this page.")
    code, user_code = secrets.token_urlsafe(12), secrets.token_hex(4).upper()
    hub.codes[code] = {"user_code": user_code, "scope": "openid profile manage-repos", "agreed": False}
    page = f"{hub.url}/oauth/device"
    about = {"device_code": code, "user_code": user_code, "verification_uri": page, "verification_uri_complete": f"{page}?user_code={user_code}"}
    return JSONResponse({**about, "interval": 1, "expires_in": 900})


async def token(hub: Hub, request: Request) -> Response:
    """A token for a code, or for an earlier token's refresh token."""
    form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
    grant = form.get("grant_type", "")
    if grant == "refresh_token":
        scope = hub.codes.pop(form.get("refresh_token", ""), {}).get("scope")
        return _refused("invalid_grant") if scope is None else JSONResponse(_granted(hub, scope))
    kept = hub.codes.get(form.get("device_code") or form.get("code", ""))
    if kept is None or kept.get("redirect_uri", "") != form.get("redirect_uri", ""):
        return _refused("invalid_grant")
    if kept.get("agreed") is False:
        return _refused("authorization_pending")
    del hub.codes[form.get("device_code") or form["code"]]
    given = _granted(hub, kept["scope"])
    if "openid" in kept["scope"] and "client_id" in kept:
        given["id_token"] = _id_token(hub, kept["client_id"], kept["nonce"])
    return JSONResponse(given)


async def userinfo(hub: Hub, request: Request) -> Response:
    """Who signed in."""
    return JSONResponse(_person(hub, signed_in(hub, request).user))


async def jwks(hub: Hub, request: Request) -> Response:
    """The key of id tokens. It is a shared one and stands here openly, which is good enough for a Hub that lets everybody in as alice."""
    key = base64.urlsafe_b64encode(hub.seal.encode()).rstrip(b"=").decode()
    return JSONResponse({"keys": [{"kty": "oct", "kid": "test", "alg": "HS256", "k": key}]})


def _refused(error: str) -> Response:
    return JSONResponse({"error": error, "error_description": error.replace("_", " ")}, 400)


def _granted(hub: Hub, scope: str) -> dict[str, Any]:
    name, refresh = f"hf_oauth_{secrets.token_hex(8)}", secrets.token_hex(8)
    hub.tokens[name] = Token("alice", "oauth", writes=bool(WRITING & set(scope.split())))
    hub.codes[refresh] = {"scope": scope}
    return {"access_token": name, "token_type": "bearer", "expires_in": LIFE_S, "scope": scope, "refresh_token": refresh}


def _person(hub: Hub, user: str) -> dict[str, Any]:
    if user not in hub.fullnames:
        raise RefusalError(404, "unknown user")
    names = {"sub": user, "name": hub.fullnames[user], "preferred_username": user, "profile": f"{hub.url}/{user}", "picture": f"{hub.url}/avatars/{user}.svg"}
    orgs = [{"sub": org, "name": org, "preferred_username": org} for org, roles in hub.organizations.items() if user in roles]
    return {**names, "isPro": False, "orgs": orgs}


def _id_token(hub: Hub, client: str, nonce: str) -> str:
    def packed(value: dict[str, Any]) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    now = int(time.time())
    claims = {"iss": hub.url, "aud": client, "iat": now, "exp": now + LIFE_S, **({"nonce": nonce} if nonce else {}), **_person(hub, "alice")}
    signed = packed({"alg": "HS256", "kid": "test", "typ": "JWT"}) + b"." + packed(claims)
    signature = hmac.new(hub.seal.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()
