"""Which handler answers at which address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.convertors import CONVERTOR_TYPES, Convertor
from starlette.requests import Request
from starlette.responses import Response

from tests.support.hub import commits, downloads, openid, repos, spaces, trees, validation, xet_routes
from tests.support.hub.faults import OWN
from tests.support.hub.state import KINDS, Hub

Handler = Callable[[Hub, Request], Awaitable[Response]]


class _Word(Convertor[str]):
    """A part of a path that is one of some words."""

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _Kind(_Word):
    regex = "|".join(KINDS)


class _Store(_Word):
    regex = "secrets|variables"


class _Log(_Word):
    regex = "run|build"


CONVERTOR_TYPES.update({"kind": _Kind(), "store": _Store(), "log": _Log()})

REPO = "/api/{kind:kind}/{namespace}/{name}"
AT = "/{revision:path}"

ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/api/whoami-v2", repos.whoami),
    ("GET", "/api/agent-harnesses", repos.harnesses),
    ("POST", "/api/repos/create", repos.create),
    ("DELETE", "/api/repos/delete", repos.delete),
    ("POST", "/api/repos/move", repos.move),
    ("POST", "/api/validate-yaml", validation.validate_yaml),
    ("GET", "/api/spaces/hardware", spaces.list_hardware),
    ("GET", "/api/{kind:kind}", repos.list_repos),
    ("GET", REPO, repos.info),
    ("GET", REPO + "/revision" + AT, repos.info),
    ("PUT", REPO + "/settings", repos.settings),
    ("GET", REPO + "/auth-check", repos.auth_check),
    ("GET", REPO + "/tree/{revision}", trees.tree),
    ("GET", REPO + "/tree/{revision}/{path:path}", trees.tree),
    ("POST", REPO + "/paths-info/{revision}", trees.paths_info),
    ("GET", REPO + "/commits/{revision}", trees.commits),
    ("GET", REPO + "/refs", trees.refs),
    ("POST DELETE", REPO + "/branch" + AT, trees.branch),
    ("POST DELETE", REPO + "/tag" + AT, trees.tag),
    ("POST", REPO + "/super-squash" + AT, trees.super_squash),
    ("GET", REPO + "/discussions", trees.list_discussions),
    ("POST", REPO + "/discussions", trees.discussions),
    ("GET", REPO + "/discussions/{number:int}", trees.discussions),
    ("POST", REPO + "/preupload/{revision}", commits.preupload),
    ("POST", REPO + "/commit/{revision}", commits.commit),
    ("GET", REPO + "/runtime", spaces.runtime),
    ("GET", REPO + "/jwt", spaces.jwt),
    ("POST", REPO + "/restart", spaces.restart),
    ("POST", REPO + "/pause", spaces.pause),
    ("POST", REPO + "/hardware", spaces.hardware),
    ("POST", REPO + "/sleeptime", spaces.sleep_time),
    ("PUT POST DELETE", REPO + "/volumes", spaces.volumes),
    ("GET", REPO + "/logs/{log:log}", spaces.logs),
    ("GET POST DELETE", REPO + "/{store:store}", spaces.store),
    *[("POST", prefix + "/{namespace}/{name}.git/info/lfs/objects/batch", commits.lfs_batch) for prefix in ("/{kind:kind}", "")],
    ("PUT", "/lfs/{oid}/{kind:kind}/{namespace}/{name}", commits.lfs_put),
    ("POST", "/lfs-verify", commits.lfs_verify),
    *[("GET", prefix + "/{namespace}/{name}/resolve/{revision}/{path:path}", downloads.resolve) for prefix in ("/{kind:kind}", "")],
    ("GET", "/cdn/{sha256}", downloads.cdn),
    ("GET", REPO + "/xet-{mode}-token" + AT, xet_routes.token),
    ("POST", "/cas/{place}/v1/xorbs/default/{hash}", xet_routes.put_xorb),
    ("POST", "/cas/{place}/v1/shards", xet_routes.put_shard),
    *[("GET", f"/{store}/{{place}}/v1/reconstructions/{{hash}}", xet_routes.reconstruction) for store in ("cas", OWN)],
    *[("GET", f"/{store}/{{place}}/data/{{hash}}", xet_routes.data) for store in ("cas", OWN)],
    ("POST", "/v1/telemetry", xet_routes.telemetry),
    ("GET", "/.well-known/openid-configuration", openid.configuration),
    ("GET", "/oauth/authorize", openid.authorize),
    ("GET POST", "/oauth/device", openid.device),
    ("POST", "/oauth/token", openid.token),
    ("GET", "/oauth/userinfo", openid.userinfo),
    ("GET", "/oauth/jwks", openid.jwks),
]
