"""What an MSP's tool does with NetBird's client. Arguments: URL, tokens of two MSPs and of an auditor."""

import sys

from netbird import APIClient
from netbird.exceptions import (
    NetBirdAPIError,
    NetBirdAuthenticationError,
    NetBirdNotFoundError,
    NetBirdServerError,
    NetBirdValidationError,
)
from netbird.models.cloud.msp import MSPTenantCreate, MSPTenantUpdate

url, *tokens = sys.argv[1:]
ours, theirs, auditor = (APIClient(host=url, api_token=token).cloud.msp for token in tokens)


def ask(*words):
    """Has something done that no client can do."""
    print(*words, flush=True)
    return sys.stdin.readline().strip()


def fails(kind, status, call, *arguments):
    """The client raises exactly this exception, with this status and a message."""
    try:
        call(*arguments)
    except NetBirdAPIError as error:
        assert type(error) is kind, (type(error), error.status_code, error.message)
        assert error.status_code == status, (error.status_code, error.message)
        assert error.message and error.response_data["code"] == status, error.response_data
        return error
    raise AssertionError(f"{call} did not fail")


def new(domain, groups):
    return MSPTenantCreate(name=f"Tenant {domain}", domain=domain, groups=groups)


assert ours.list_tenants() == []
tenant = ours.create_tenant(new("tenant.com", [{"id": "g1", "role": "admin"}]))
assert tenant["status"] == "pending" and "activated_at" not in tenant and "invited_at" not in tenant, tenant
identifier = tenant["id"]
assert ours.get_tenant(identifier) == tenant
assert ours.list_tenants() == [tenant]
assert theirs.list_tenants() == []

unproven = fails(NetBirdServerError, 501, ours.verify_domain, identifier)
assert unproven.response_data["dns_challenge"] == tenant["dns_challenge"]
fails(NetBirdAPIError, 412, ours.create_subscription, identifier, "price_1")
ask("publish", "tenant.com", f"nb-verification={tenant['dns_challenge']}")
assert ours.verify_domain(identifier) == {}
assert ours.get_tenant(identifier)["status"] == "active"

update = MSPTenantUpdate(name="Renamed", groups=[{"id": "g1", "role": "auditor"}])
assert ours.update_tenant(identifier, update)["name"] == "Renamed"
assert ours.create_subscription(identifier, "price_1") == {}

fails(NetBirdNotFoundError, 404, theirs.get_tenant, identifier)
fails(NetBirdNotFoundError, 404, ours.get_tenant, "ch8i4ug6lnn4g9hqv7m0")
fails(NetBirdValidationError, 422, ours.create_tenant, new("localhost", []))
fails(NetBirdValidationError, 422, ours.create_tenant, new("a.example", [{"id": "g1", "role": "root"}]))
fails(NetBirdValidationError, 409, ours.create_tenant, new("tenant.com", []))
fails(NetBirdAPIError, 403, auditor.create_tenant, new("b.example", []))
assert auditor.get_tenant(identifier)["name"] == "Renamed"
stranger = APIClient(host=url, api_token="nbp_nobody").cloud.msp
fails(NetBirdAuthenticationError, 401, stranger.list_tenants)

assert ours.unlink_tenant(identifier, "google-oauth2|123456789012345678901") == {}
fails(NetBirdNotFoundError, 404, ours.get_tenant, identifier)
existing = theirs.create_tenant(new("tenant.com", []))
assert existing["id"] == identifier and existing["status"] == "existing", existing
assert theirs.invite_tenant(identifier)["status"] == "invited"
owner = APIClient(host=url, api_token=ask("owner", identifier)).cloud.msp
fails(NetBirdAPIError, 403, theirs.respond_to_invite, identifier, "accept")
assert owner.respond_to_invite(identifier, "decline") == {}
assert theirs.get_tenant(identifier)["status"] == "existing"
theirs.invite_tenant(identifier)
assert owner.respond_to_invite(identifier, "accept") == {}
joined = theirs.get_tenant(identifier)
assert joined["status"] == "active" and joined["activated_at"] and joined["invited_at"], joined
print("done", flush=True)
